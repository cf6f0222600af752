import Configuration
import Operations
import Planning
import Presentation
import Recovery

extension PlannedRecovery {
    /// Prints the plan.
    func show(_ invocation: Invocation) throws {
        let outlook = try outlook()
        if invocation.json {
            try invocation.print(
                json: PlanDocument(
                    plan, settings: settings, archiving: setup.isOwnDirectory, tablespaces: tablespacePlaces,
                    touched: outlook.touched, estimate: outlook.estimate, remarks: outlook.remarks))
        } else {
            invocation.print(
                PlanText(
                    plan: plan, settings: settings, archiving: archiving, tablespaces: tablespacePlaces,
                    zone: cluster.timezone, touched: outlook.touched, estimate: outlook.estimate,
                    remarks: outlook.remarks
                ).text)
        }
    }

    private var archiving: String {
        setup.isOwnDirectory
            ? "as configured: \"\(directory)\" is the cluster's own directory"
            : "off in \"\(directory)\", which is not the cluster's configured directory"
    }
}

extension Contradiction: ExitStatusProviding {
    var exitStatus: ExitStatus { .unreachable }
}

extension Unreachable: ExitStatusProviding {
    var exitStatus: ExitStatus {
        switch refusal.reason {
        case .unknownBackup: .failure
        default: .unreachable
        }
    }
}

import Configuration
import Operations
import Planning
import Presentation
import Recovery

enum PlanCommand: Command {
    static let grammar = Grammar(
        "plan", "show where a recovery would end, without touching anything",
        description: [
            "Chooses the base backup, follows the timelines, checks that every WAL segment needed is in the archive, and names the "
                + "last transaction that will be included and the first that won't, by PostgreSQL's own rules. A target that can't "
                + "be reached is refused, with the reason and the nearest ones that can."
        ],
        options: TargetOptions.options + DropOptions.options + RecoveryOptions.shown + [
            Grammar.Option("json", "print JSON")
        ],
        examples: [
            Grammar.Example("tidemark plan --target latest", "everything in the archive"),
            Grammar.Example("tidemark plan --target-time '2026-11-05 09:59:00 Europe/Berlin'", "up to a moment"),
        ],
        exits: [(4, "the target cannot be reached")])

    static func run(_ invocation: Invocation) throws -> ExitStatus {
        let cluster = try invocation.becomeOwner()
        let order = try RecoveryOptions.order(invocation.arguments, cluster)
        let planned = try PlannedRecovery(order, of: cluster, invocation.installation(), invocation.context())
        try invocation.show(planned, asJSON: invocation.json)
        return .success
    }
}

extension Invocation {
    /// Prints a recovery's plan.
    func show(_ planned: PlannedRecovery, asJSON: Bool) throws {
        if asJSON { try print(json: PlanDocument(planned)) } else { print(try PlanText(planned).text) }
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

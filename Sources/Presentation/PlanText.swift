import Configuration
public import Operations
import Planning
import Platform
import Recovery
import WAL

/// A plan as text.
public struct PlanText {
    private let plan: Plan
    private let settings: [RecoverySetting]
    private let archiving: String
    private let tablespaces: [CopyTablespaces.Place]
    /// The time zone of local times; nil for the machine's.
    private let zone: String?
    /// The tables that the two transactions changed.
    private let touched: [UInt32: [String]]
    /// Seconds; nil when there was no recovery yet.
    private let estimate: (restore: Double, replay: Double)?
    private let remarks: [String]

    /// A recovery's plan.
    ///
    /// - Throws: errors in reading the archive for the outlook.
    public init(_ planned: PlannedRecovery) throws {
        let outlook = try planned.outlook()
        let directory = planned.directory
        (plan, settings, tablespaces) = (planned.plan, planned.settings, planned.tablespacePlaces)
        archiving =
            planned.setup.isOwnDirectory
            ? "as configured: \"\(directory)\" is the cluster's own directory"
            : "off in \"\(directory)\", which is not the cluster's configured directory"
        (zone, touched, estimate) = (planned.cluster.timezone, outlook.touched, outlook.estimate)
        remarks = outlook.remarks
    }

    /// The plan for tables.
    public init(_ job: TableRecoveryJob) {
        (plan, settings, archiving, tablespaces) = (job.plan, [], "off in the temporary cluster", [])
        (zone, touched, estimate, remarks) = (job.zone, [:], nil, job.remarks)
    }

    /// Without a newline at the end.
    public var text: String {
        var rows: [(String, String)] = []
        func row(_ label: String, _ text: String) { rows.append((label, text)) }
        row("target", target)
        row(
            "backup",
            "\(plan.backup.label), ended \(moment(plan.backup.stopTime)) at LSN \(plan.backup.stop), "
                + size(plan.backup.size))
        row("", plan.choice)
        row("timelines", timelines)
        for (index, range) in plan.segments.enumerated() {
            row(index == 0 ? "WAL" : "", range.count == 1 ? "\(range.first)" : "\(range.first) … \(range.last)")
        }
        row(
            "",
            "\(plan.segmentCount) segment\(plan.segmentCount == 1 ? "" : "s"), \(size(plan.walSize)); all "
                + (plan.waiting.isEmpty
                    ? "are in the archive"
                    : "but \(plan.waiting.count) are in the archive: \(plan.waiting[0])"
                        + (plan.waiting.count > 1 ? " … \(plan.waiting[plan.waiting.count - 1])" : "")
                        + " will be archived from pg_wal first")
        )
        row("stops", stop)
        row("last included", plan.lastIncluded.map(transaction) ?? "none since the backup began")
        row("first excluded", plan.firstExcluded.map(transaction) ?? "none in the archive")
        if let estimate {
            let total = estimate.restore + estimate.replay
            row(
                "takes about",
                "\(durationText(estimatedSeconds: total)): restore \(durationText(estimatedSeconds: estimate.restore)), replay \(durationText(estimatedSeconds: estimate.replay)), as fast as the last "
                    + "recoveries")
        }
        row("archiving", archiving)
        for (index, place) in tablespaces.enumerated() {
            row(index == 0 ? "tablespaces" : "", "\(place.location) → \(place.directory)")
        }
        for (index, setting) in settings.enumerated() {
            row(index == 0 ? "settings" : "", setting.line)
        }
        for warning in plan.warnings + remarks { row("WARNING", warning) }
        let width = rows.map(\.0.count).max() ?? 0
        return joined(
            rows.map { label, text in
                label + String(repeating: " ", count: width - label.count + 2) + text
            })
    }

    private var target: String {
        let side = plan.target.inclusive ? "inclusive" : "exclusive"
        switch plan.target.point {
        case .time(let time): return "time \(moment(time)), \(side)"
        case .lsn, .xid: return "\(plan.target.summary), \(side)"
        case .name, .immediate, .latest: return plan.target.summary
        }
    }

    private var timelines: String {
        plan.path.steps.map { step in
            step.end.map { "\(step.timeline) until \($0)" } ?? "\(step.timeline)"
        }.joined(separator: ", then ")
    }

    private var stop: String {
        guard let stop = plan.stop else { return "at the end of the archive, LSN \(plan.end)" }
        let what =
            switch stop.record.content {
            case .commit(let mark): "the commit of transaction \(mark.xid)"
            case .abort(let mark): "the abort of transaction \(mark.xid)"
            case .restorePoint(let point): "restore point \"\(point.name)\" of \(moment(point.time))"
            case .other: "the record"
            }
        return "\(stop.after ? "after" : "before") \(what) at LSN \(stop.record.start)"
    }

    private func transaction(_ mark: TransactionMark) -> String {
        "transaction \(mark.xid), \(moment(mark.time)), LSN \(mark.lsn)"
            + (touched[mark.xid].map { ", changed \($0.joined(separator: ", "))" } ?? "")
    }

    private func moment(_ moment: Moment) -> String {
        localTime(moment, zone: zone).map { "\(moment) (\($0))" } ?? moment.description
    }
}

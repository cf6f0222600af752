import Backups
import Monitoring
public import Planning
import Platform
public import Recovery
import Restoring
import WAL

/// The result of a drill.
public func drillText(_ report: DrillReport, _ plan: Plan) -> String {
    let last = plan.lastIncluded.map { "transaction \($0.xid), \($0.time)" } ?? "the backup's end"
    var lines = [
        "Recovered to \(plan.target.summary) from \(plan.backup.label) in \(duration(report.seconds)): "
            + "restored \(size(report.restore.size)) in \(duration(report.restore.seconds)), replayed "
            + "\(counted(plan.segmentCount, "segment")) in \(duration(report.replaySeconds)).",
        "Reached: \(last)" + (report.complaints.isEmpty ? ", as predicted." : "."),
        report.amcheck
            ? "pg_amcheck checked every database."
            : "pg_amcheck was not run: it is not installed here, or there was no time for it.",
        "\(counted(report.checks, "check")) of your own, \(duration(report.checkedSeconds)) for all checks.",
    ]
    if !report.raised.isEmpty {
        let words = report.raised.map { "\($0.name) = \($0.demanded) instead of \($0.present)" }
        lines.append(
            "WAL required higher settings; the server was started again with \(words.joined(separator: ", ")).")
    }
    if report.pending > 0 {
        lines.append("Prepared transactions that were pending, and rolled back for the checks: \(report.pending).")
    }
    lines += report.complaints.map { "PROBLEM: \($0)" }
    lines.append(report.complaints.isEmpty ? "The drill passed." : "The drill found problems.")
    return joined(lines)
}

/// The result of a drill as JSON.
public struct DrillDocument: Encodable {
    let plan: PlanDocument
    let seconds, restoreSeconds, replaySeconds, checkSeconds: Double
    let restoredBytes: Int64
    let reachedLsn: String?
    struct Raised: Encodable {
        let name: String
        let value, before: Int64
    }
    /// Settings that were raised for a restart.
    let raisedSettings: [Raised]
    let pendingTransactions: Int
    let amcheck: Bool
    let checks: Int
    let complaints: [String]

    public init(_ report: DrillReport, _ plan: Plan) {
        self.plan = PlanDocument(plan, settings: [], archiving: false)
        (seconds, restoreSeconds) = (report.seconds, report.restore.seconds)
        (replaySeconds, checkSeconds) = (report.replaySeconds, report.checkedSeconds)
        (restoredBytes, reachedLsn) = (report.restore.size, report.reached?.description)
        raisedSettings = report.raised.map { Raised(name: $0.name, value: $0.demanded, before: $0.present) }
        (pendingTransactions, amcheck, checks) = (report.pending, report.amcheck, report.checks)
        complaints = report.complaints
    }
}

import BaseBackup
import Configuration
import Monitoring
import Platform
import Repository
import WAL

enum ExpireCommand: Command {
    static let grammar = Grammar(
        "expire", "remove backups and WAL that no rule keeps",
        description: [
            "Goes by the rules of [retention] (docs/retention.md) and says for each backup why it is kept or goes. The newest good backup, "
                + "pinned ones, those in use, and whatever a kept one needs always stay. Without rules nothing is removed.",
            "Also removes what interrupted backups left. Runs after every successful \"tidemark backup\" unless that has --no-expire.",
        ],
        options: [
            .init("dry-run", "say what would be removed, and remove nothing"),
            .init("json", "print JSON"),
        ],
        examples: [
            Grammar.Example("tidemark expire --dry-run", "look first"),
            Grammar.Example("tidemark expire", "then do it"),
        ],
        exits: [(3, "something could not be removed"), (5, "a backup of this cluster is running")])

    private struct Document: Encodable {
        struct Verdict: Encodable {
            let label: String
            let kept: Bool
            let reasons: [String]
        }
        let dryRun: Bool
        let backups: [Verdict]
        let remains: [String]
        let keepWalFrom: String?
        let segments: Int
        let freed: Int64
        let failures: [String]
    }

    static func run(_ invocation: Invocation) throws -> ExitStatus {
        let configuration = try invocation.configuration()
        let cluster = try invocation.cluster()
        let dryRun = invocation.arguments.has("dry-run")
        let report = try expire(cluster, configuration, dryRun: dryRun)
        if invocation.json {
            try invocation.print(
                json: Document(
                    dryRun: dryRun,
                    backups: report.decision.verdicts.map {
                        .init(label: $0.label, kept: $0.isKept, reasons: $0.reasons)
                    }, remains: report.remains, keepWalFrom: report.decision.keepWALFrom?.description,
                    segments: report.segments.count, freed: report.freed, failures: report.failures))
        } else {
            invocation.print(text(report, dryRun: dryRun).joined(separator: "\n"))
        }
        return conclude(report, invocation)
    }

    /// Names what couldn't be removed, and notes what went.
    static func conclude(_ report: ExpiryReport, _ invocation: Invocation) -> ExitStatus {
        for failure in report.failures { invocation.log(.warning, failure) }
        invocation.notes("expired", report.decision.expired.count)
        invocation.notes("segments", report.segments.count)
        if !report.segmentRuns.isEmpty { invocation.notes(ExpiredLog.fact, ExpiredLog.note(report.segmentRuns)) }
        return report.failures.isEmpty ? .success : .problemsFound
    }

    static func expire(_ cluster: ClusterConfiguration, _ configuration: Configuration, dryRun: Bool) throws
        -> ExpiryReport
    {
        let store = DirectoryStore(cluster.repository)
        return try expireBackups(
            of: try currentIncarnation(of: cluster, in: store), in: store,
            policy: RetentionPolicy(configuration.retention(for: cluster)), dryRun: dryRun)
    }

    /// One line per decision.
    static func text(_ report: ExpiryReport, dryRun: Bool) -> [String] {
        let gone = dryRun ? "would go" : "removed"
        var lines = report.decision.verdicts.map { verdict in
            "backup \(verdict.label) \(verdict.isKept ? "kept" : gone): \(verdict.reasons.joined(separator: "; "))"
        }
        lines += report.remains.map { "backup \($0) \(gone): it was never completed" }
        if let from = report.decision.keepWALFrom {
            lines.append("WAL is kept from \(from) on, for \(report.decision.walReason)")
            lines += report.decision.islands.map { "WAL of backup \($0.label) kept: \($0.start) to \($0.stop)" }
            if let first = report.segments.first, let last = report.segments.last {
                let count = report.segments.count
                lines.append(
                    "WAL \(gone): \(count) segment\(count == 1 ? "" : "s"), \"\(first)\" to \"\(last)\"")
            }
        }
        if report.freed > 0 { lines.append("\(dryRun ? "would free" : "freed") \(size(report.freed))") }
        return lines.isEmpty ? ["There is nothing to expire."] : lines
    }
}

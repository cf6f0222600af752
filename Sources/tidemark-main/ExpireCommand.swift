import BaseBackup
import Configuration
import Jobs
import Monitoring
import Operations
import Platform
import Repository
import Retention
import WAL

enum ExpireCommand: Command {
    static let grammar = Grammar(
        "expire", "remove backups and WAL that no rule keeps",
        description: [
            "Applies the rules of [retention] (docs/retention.md) and says for each backup why it is kept or removed. The newest good backup, "
                + "pinned ones, those in use, and whatever a kept one needs always stay. Without rules, nothing is removed.",
            "The same rules apply to backups from before initdb or pg_upgrade, in each incarnation of the cluster separately; the newest good "
                + "backup of each incarnation always stays.",
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
        struct Part: Encodable {
            let incarnation: String
            let backups: [Verdict]
            let remains: [String]
            let keepWalFrom: String?
            let segments: Int
            let freed: Int64

            init(_ report: ExpiryReport, of incarnation: Incarnation) {
                self.incarnation = incarnation.folderName
                backups = report.decision.verdicts.map {
                    Verdict(label: $0.label, kept: $0.isKept, reasons: $0.reasons)
                }
                remains = report.remains
                keepWalFrom = report.decision.keepWALFrom?.description
                segments = report.segments.count
                freed = report.freed
            }
        }
        private enum Key: String, CodingKey { case dryRun, failures, former }
        let dryRun: Bool
        /// The incarnation in use, whose keys stand at the top.
        let current: Part
        let failures: [String]
        /// What was before initdb or pg_upgrade.
        let former: [Part]

        func encode(to encoder: any Encoder) throws {
            try current.encode(to: encoder)
            var top = encoder.container(keyedBy: Key.self)
            try top.encode(dryRun, forKey: .dryRun)
            try top.encode(failures, forKey: .failures)
            try top.encode(former, forKey: .former)
        }
    }

    static func run(_ invocation: Invocation) throws -> ExitStatus {
        let cluster = try invocation.cluster()
        let dryRun = invocation.arguments.has("dry-run")
        let job = try ExpireJob(
            of: cluster, by: invocation.policy(for: cluster), JobWatch.origin(), invocation.context())
        let expiry = try job.run(dryRun: dryRun)
        if invocation.json {
            try invocation.print(
                json: Document(
                    dryRun: dryRun, current: Document.Part(expiry.current, of: job.current),
                    failures: expiry.failures,
                    former: expiry.former.compactMap { one in
                        one.report.map { Document.Part($0, of: one.incarnation) }
                    }))
        } else {
            invocation.print(ExpireText.lines(expiry, dryRun: dryRun).joined(separator: "\n"))
        }
        return ExpireText.conclude(expiry, invocation)
    }
}

/// What `expire` says, and `backup` of the expiry that follows it.
enum ExpireText {
    /// Names what couldn't be removed.
    static func conclude(_ expiry: ClusterExpiry, _ invocation: Invocation) -> ExitStatus {
        for failure in expiry.failures { invocation.log(.warning, failure) }
        return expiry.failures.isEmpty ? .success : .problemsFound
    }

    /// One line per decision, the incarnation in use first.
    static func lines(_ expiry: ClusterExpiry, dryRun: Bool) -> [String] {
        lines(expiry.current, dryRun: dryRun)
            + expiry.former.flatMap { one in
                guard let report = one.report else { return [String]() }
                return ["Before initdb or pg_upgrade, incarnation \(one.incarnation.folderName):"]
                    + lines(report, dryRun: dryRun)
            }
    }

    /// One line per decision.
    private static func lines(_ report: ExpiryReport, dryRun: Bool) -> [String] {
        let gone = dryRun ? "would be removed" : "removed"
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

public import Expiring
import Platform
public import Repository
import Retention
import WAL

/// The result of an expiry: one line per decision, the incarnation in use first.
public func expireLines(_ expiry: ClusterExpiry, dryRun: Bool) -> [String] {
    lines(expiry.current, dryRun: dryRun)
        + expiry.former.flatMap { one in
            guard let report = one.report else { return [String]() }
            return ["Before initdb or pg_upgrade, incarnation \(one.incarnation.folderName):"]
                + lines(report, dryRun: dryRun)
        }
}

/// One line per decision.
private func lines(_ report: ExpiryReport, dryRun: Bool) -> [String] {
    let gone = dryRun ? "would be removed" : "removed"
    var lines = report.decision.verdicts.map { verdict in
        "backup \(verdict.label) \(verdict.isKept ? "kept" : gone): \(verdict.reasons.joined(separator: "; "))"
    }
    lines += report.remains.map { "backup \($0) \(gone): it was never completed" }
    if let from = report.decision.keepWALFrom {
        lines.append("WAL is kept from \(from) on, for \(report.decision.walReason)")
        lines += report.decision.islands.map { "WAL of backup \($0.label) kept: \($0.start) to \($0.stop)" }
        if let first = report.segments.first, let last = report.segments.last {
            let range = SegmentRange(first: first, last: last, count: report.segments.count)
            lines.append("WAL \(gone): \(counted(report.segments.count, "segment")), \(range)")
        }
    }
    if report.freed > 0 { lines.append("\(dryRun ? "would free" : "freed") \(size(report.freed))") }
    return lines.isEmpty ? ["There is nothing to expire."] : lines
}

/// The result of an expiry as JSON.
public struct ExpireDocument: Encodable {
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
    /// Incarnations from before initdb or pg_upgrade.
    let former: [Part]

    public init(_ expiry: ClusterExpiry, of incarnation: Incarnation, dryRun: Bool) {
        (self.dryRun, failures) = (dryRun, expiry.failures)
        current = Part(expiry.current, of: incarnation)
        former = expiry.former.compactMap { one in one.report.map { Part($0, of: one.incarnation) } }
    }

    public func encode(to encoder: any Encoder) throws {
        try current.encode(to: encoder)
        var top = encoder.container(keyedBy: Key.self)
        try top.encode(dryRun, forKey: .dryRun)
        try top.encode(failures, forKey: .failures)
        try top.encode(former, forKey: .former)
    }
}

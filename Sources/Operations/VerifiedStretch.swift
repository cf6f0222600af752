import Catalog
import Configuration
public import Platform
public import WAL

/// A position in the archived WAL, as the user names it.
public enum WALPlace: Sendable {
    case lsn(LSN)
    /// Stands for the segments in which a transaction had ended by then.
    case time(Moment)
}

/// Finds the range of the archived WAL between two positions.
struct VerifiedStretch {
    private let cluster: ClusterConfiguration
    private let context: JobContext

    init(of cluster: ClusterConfiguration, _ context: JobContext) { (self.cluster, self.context) = (cluster, context) }

    /// Nil when neither is named: then everything is verified.
    /// - Throws: `NoStretch`, `NoWALInStretch`, and what asking the catalog throws.
    func range(_ from: WALPlace?, _ to: WALPlace?) throws -> ClosedRange<LSN>? {
        guard from != nil || to != nil else { return nil }
        let first =
            try from.map {
                guard let found = try position($0, isEnd: false) else { throw NoWALInStretch() }
                return found
            } ?? .zero
        let last = try to.flatMap { try position($0, isEnd: true) } ?? LSN(.max)
        guard first <= last else { throw NoStretch() }
        return first...last
    }

    /// Nil when no transaction in the archive ended after the time.
    private func position(_ place: WALPlace, isEnd: Bool) throws -> LSN? {
        switch place {
        case .lsn(let lsn): return lsn
        case .time(let moment):
            return try CatalogAccess(of: cluster, context).ask { catalog in
                let set = try catalog.segments()
                let found = try set.timelines.compactMap { timeline in
                    try catalog.firstEnding(
                        after: moment, orAt: !isEnd, of: timeline, 0...(set.highest(on: timeline) ?? 0))
                }
                let starts = found.map { $0.start(segmentSize: set.segmentSize) }
                return isEnd ? starts.max().map { $0 + UInt64(set.segmentSize - 1) } : starts.min()
            }
        }
    }
}

/// The named range of WAL ends before it begins.
public struct NoStretch: Refusal, Explained, Equatable {
    public var message: String { "--from is after --to" }
}

/// The named range has no archived WAL, and none is missing there.
public struct NoWALInStretch: Refusal, Explained, Equatable {
    public var message: String { "no WAL is archived between --from and --to" }
    public var hint: String? { "\"\(runnable("tidemark segments"))\" shows what is archived." }
}

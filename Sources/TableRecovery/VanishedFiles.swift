import WAL

/// Relation files of one database that transactions remove before a target: files of relations that were dropped,
/// truncated or rewritten, and temporary ones of a transaction. WAL about such a file before its removal isn't needed
/// for the state at the target.
struct VanishedFiles: Sendable, Equatable {
    /// By file number: the end of the last transaction that removed it. A number that is used again is in use from
    /// there.
    private var removals: [UInt32: LSN] = [:]

    static let none = VanishedFiles()

    private init() {}

    /// - Parameters:
    ///   - facts: the facts of the segments up to the target.
    ///   - target: files removed from there on are still needed.
    ///   - keeping: file numbers that are replayed in any case.
    init(of database: UInt32, by facts: [SegmentFacts], before target: LSN, keeping: Set<UInt32>) {
        for removal in facts.lazy.flatMap(\.removals) where removal.transaction.lsn < target {
            for file in removal.files where file.database == database && !keeping.contains(file.number) {
                removals[file.number] = max(removals[file.number] ?? .zero, removal.transaction.lsn)
            }
        }
    }

    /// Whether a record at `lsn` about the file with this number isn't needed.
    func contains(_ number: UInt32, at lsn: LSN) -> Bool {
        guard let removal = removals[number] else { return false }
        return lsn < removal
    }

    /// The end of the last removal.
    var last: LSN { removals.values.max() ?? .zero }
}

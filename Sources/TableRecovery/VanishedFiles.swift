import WAL

/// Relation files of one database that transactions remove on the way to a target: of what was dropped, truncated or
/// rewritten, and of what was made only to be thrown away. Nothing the WAL says about such a file before that moment is of
/// use to anybody who only wants the state at the target.
struct VanishedFiles: Sendable, Equatable {
    /// By number: where the last transaction that removed it ended. A number that is used again lives on from there.
    private var removals: [UInt32: LSN] = [:]

    static let none = VanishedFiles()

    private init() {}

    /// - Parameters:
    ///   - facts: what the segments on the way say.
    ///   - target: what is removed from there on is still needed.
    ///   - keeping: numbers that are replayed whatever becomes of them.
    init(of database: UInt32, by facts: [SegmentFacts], before target: LSN, keeping: Set<UInt32>) {
        for removal in facts.lazy.flatMap(\.removals) where removal.transaction.lsn < target {
            for file in removal.files where file.database == database && !keeping.contains(file.number) {
                removals[file.number] = max(removals[file.number] ?? .zero, removal.transaction.lsn)
            }
        }
    }

    /// Whether a record at `lsn` about the file with this number is of no use.
    func contains(_ number: UInt32, at lsn: LSN) -> Bool {
        guard let removal = removals[number] else { return false }
        return lsn < removal
    }

    /// Where the last of them goes.
    var last: LSN { removals.values.max() ?? .zero }
}

import Platform
public import WAL

/// One incarnation's part of a repository: what everything below the commands works on. It answers what is asked of an
/// archive over and over, so that no caller puts keys together or decodes what lies under them.
///
/// It is a pair, without state of its own: making one touches nothing.
public struct ClusterArchive: Sendable {
    public let store: any ObjectStore
    public let incarnation: Incarnation

    public init(_ incarnation: Incarnation, in store: any ObjectStore) {
        (self.incarnation, self.store) = (incarnation, store)
    }

    /// The archive with what was put aside of a timeline in its place, for a recovery that is told to go there; nil
    /// when there is nothing that fits (`AsideStore`).
    public func restoringAside(_ timeline: TimelineID) throws -> ClusterArchive? {
        try AsideStore(self, timeline: timeline).map { ClusterArchive(incarnation, in: $0) }
    }

    /// Where a file from PostgreSQL's archiver is kept, or its further copy.
    public func key(for file: ArchiveFileName, copy number: Int = 1) -> RepositoryKey {
        incarnation.key(for: file, copy: number)
    }

    /// Whether it has a file from PostgreSQL's archiver.
    public func has(_ file: ArchiveFileName) throws -> Bool { try store.exists(key(for: file)) }

    /// A pack of a backup, opened.
    public func pack(_ label: String, _ name: PackName) throws -> StoredPack {
        try StoredPack(incarnation.pack(label, name), in: store)
    }

    /// Whether it has a complete backup with this label: its `backup.json` is there, unread.
    /// - Precondition: the label may stand between two slashes of a key (`RepositoryKey.isPart`).
    public func hasBackup(_ label: String) throws -> Bool {
        try store.exists(incarnation.backup(label, "backup.json"))
    }

    /// What is known of a segment's records, of several copies by the one with the most; nil when it was stored unread.
    /// - Throws: `ObjectAbsent`, `BadSummary`, and what opening a segment throws.
    public func summary(of segment: SegmentName) throws -> SegmentSummary? { try stored(segment).summary() }

    /// The same; nil as well for a segment that isn't there or can't be read, where that is no reason to know nothing.
    /// - Throws: what says that more is away than this segment.
    public func readableSummary(of segment: SegmentName) throws -> SegmentSummary? {
        do { return try summary(of: segment) } catch is BadSummary {
            return nil
        } catch let error as any Explained where error.concernsOneObject { return nil }
    }

    /// What the head of a segment says, of several copies of the one with the most records.
    /// - Throws: `ObjectAbsent`, and what opening a segment throws.
    public func head(of segment: SegmentName) throws -> SegmentHead { try stored(segment).head }
}

extension ClusterArchive: CustomStringConvertible {
    public var description: String { "\(incarnation) in \(store.location)" }
}

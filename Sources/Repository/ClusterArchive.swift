import Platform
public import WAL

/// One incarnation's part of a repository: what the modules below the commands work on. It puts the keys together and
/// decodes what lies under them, so that no caller does.
///
/// It is an incarnation and a store, without state of its own: making one reads and writes nothing.
public struct ClusterArchive: Sendable {
    public let store: any ObjectStore
    public let incarnation: Incarnation

    public init(_ incarnation: Incarnation, in store: any ObjectStore) {
        (self.incarnation, self.store) = (incarnation, store)
    }

    /// The archive with the objects of a timeline that were put aside in their own places, for a recovery to it; nil
    /// when none of them fits (`AsideStore`).
    public func restoringAside(_ timeline: TimelineID) throws -> ClusterArchive? {
        try AsideStore(self, timeline: timeline).map { ClusterArchive(incarnation, in: $0) }
    }

    /// The key of a file from PostgreSQL's archiver, or of a further copy of it.
    public func key(for file: ArchiveFileName, copy number: Int = 1) -> RepositoryKey {
        incarnation.key(for: file, copy: number)
    }

    /// Whether it holds a file from PostgreSQL's archiver.
    public func has(_ file: ArchiveFileName) throws -> Bool { try store.exists(key(for: file)) }

    /// A pack of a backup, opened.
    public func pack(_ label: String, _ name: PackName) throws -> StoredPack {
        try StoredPack(incarnation.pack(label, name), in: store)
    }

    /// Whether it has a complete backup with this label: its `backup.json` is there, unread.
    /// - Precondition: the label may stand between two slashes of a key (`RepositoryKey.isPart`).
    public func hasBackup(_ label: String) throws -> Bool {
        try store.exists(incarnation.backupDescription(label))
    }

    /// The summary of a segment's records, from the copy that has the most; nil when the segment was stored unread.
    /// - Throws: `ObjectAbsent`, `BadSummary`, `UnsupportedFormat`, and what opening a segment throws.
    public func summary(of segment: SegmentName) throws -> SegmentSummary? { try stored(segment).summary() }

    /// As `summary(of:)`, and nil as well for a segment that isn't there or can't be read.
    /// - Throws: errors that concern more than this segment.
    public func readableSummary(of segment: SegmentName) throws -> SegmentSummary? {
        do { return try summary(of: segment) } catch is BadSummary {
            return nil
        } catch let error as any Explained where error.concernsOneObject { return nil }
    }

    /// A segment's head, from the copy that has the most records.
    /// - Throws: `ObjectAbsent`, and what opening a segment throws.
    public func head(of segment: SegmentName) throws -> SegmentHead { try stored(segment).head }
}

extension ClusterArchive: CustomStringConvertible {
    public var description: String { "\(incarnation) in \(store.location)" }
}

public import Repository
public import WAL

/// The names of an archive's segments, and its histories.
struct ArchiveListing {
    let names: [SegmentName]
    /// In bytes; PostgreSQL's default when neither a segment nor a backup can be read.
    let segmentSize: UInt32
    /// Of the histories that can be read; the check of the histories reports the others.
    let genealogy: Genealogy

    init(of archive: ClusterArchive) throws {
        var names: [SegmentName] = []
        for timeline in try archive.timelines() {
            names += try archive.segments(timeline: timeline)
        }
        self.names = names
        segmentSize = try ArchiveListing.segmentSize(names, archive) ?? archive.segmentSizeOfBackups() ?? 16 << 20
        genealogy = Genealogy(try archive.readableHistories(), segmentSize: segmentSize)
    }

    /// The length of the first that can be read. (Not by a lazy sequence: it would read it twice, and the answers may
    /// differ.)
    private static func segmentSize(_ names: [SegmentName], _ archive: ClusterArchive) -> UInt32? {
        for name in names {
            guard let head = try? archive.head(of: name),
                SegmentName.exists(segmentSize: head.rawLength)
            else { continue }
            return UInt32(head.rawLength)
        }
        return nil
    }

    /// - Parameter expired: what is not there on purpose; asked only when something isn't there.
    func gaps(
        expired: (_ segmentSize: UInt32) throws -> SegmentSet = { SegmentSet(segmentSize: $0) },
        _ backups: [BackupWAL] = []
    ) throws -> [LineageGap] { try wal(expired: expired, backups).gaps() }

    func wal(
        expired: (_ segmentSize: UInt32) throws -> SegmentSet, _ backups: [BackupWAL]
    ) throws -> ArchivedWAL {
        let segments = SegmentSet(names, segmentSize: segmentSize)
        let wal = ArchivedWAL(segments, genealogy, backups: backups)
        guard !wal.gaps().isEmpty else { return wal }
        return ArchivedWAL(segments, genealogy, expired: try expired(segmentSize), backups: backups)
    }
}

/// What an archive holds of the WAL, by the names of its segments alone.
///
/// - Parameters:
///   - expired: segments that were removed on purpose; called only when some are missing.
///   - backups: what complete backups need.
public func archivedWAL(
    of archive: ClusterArchive, expired: (_ segmentSize: UInt32) throws -> SegmentSet, _ backups: [BackupWAL]
) throws -> ArchivedWAL { try ArchiveListing(of: archive).wal(expired: expired, backups) }

extension ArchiveProblem {
    public init(_ gap: LineageGap) {
        self.init(
            "WAL \(gap.sentence)", detail: "Backups taken before the gap cannot be recovered past it.",
            segment: gap.first, kind: .missing(through: gap.last))
    }
}

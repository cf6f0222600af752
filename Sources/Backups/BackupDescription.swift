public import WAL

/// The content of `backup.json`, which describes a complete base backup. Its existence makes the backup complete.
public struct BackupDescription: Sendable, Equatable {
    public enum Kind: String, Sendable, Codable {
        case full
        case incremental
    }

    /// Start time in UTC and type, `20261105T020000Z-full`; the folder's name.
    public var label: String
    public var kind: Kind
    /// The server's clock when backup mode began.
    public var startTime: Moment
    /// The server's clock just after backup mode ended; every commit the backup needs for consistency is older.
    public var stopTime: Moment
    /// Where replay begins.
    public var startLSN: LSN
    /// The checkpoint record from which replay starts; in or after the segment of `startLSN`.
    public var checkpointLSN: LSN
    /// Where the copy becomes consistent: where backup mode ended, or on a standby the minimum recovery point of the
    /// copied pg_control.
    public var stopLSN: LSN
    public var timeline: TimelineID
    /// The segments that replay needs before the copy is consistent, first and last, on `timeline`. The last one is
    /// another timeline's if that left `timeline` in this segment, after the copy's end, and its file was archived
    /// instead.
    public var startSegment: SegmentName
    public var stopSegment: SegmentName
    public var systemIdentifier: UInt64
    public var major: Int
    /// 150020 for 15.20.
    public var serverVersion: Int
    public var catalogVersion: UInt32
    /// Bytes in a WAL segment.
    public var segmentSize: UInt32
    public var fromStandby: Bool
    public var fileCount: Int
    /// Bytes, eight pebibytes: more than any cluster has. Within this bound no sum of sizes overflows.
    static let largest = Int64(1) << 53
    /// Bytes of all files of the copy.
    public var size: Int64
    /// Bytes this backup added to the repository: packs and manifest.
    public var storedSize: Int64
    /// The packs that this one refers to, its own first.
    public var packs: [NeededPacks]
    public var tablespaces: [BackedUpTablespace]
    /// Symbolic links in the data directory whose targets the backup contains in their place.
    public var links: [BackedUpLink] = []
    /// Whether the cluster's pages carry checksums.
    public var hasChecksums: Bool
    /// Pages whose checksum was verified while copying.
    public var verifiedPages: Int64
    public var corruptPages: [CorruptPage]
    /// Server settings that a server on the copy must not fall below, or that describe it (`max_connections`, …); also
    /// `resolvedDirectory`, `linkedPaths` and `configurationFiles`.
    public var settings: [String: String]
    /// Where the data directory lay, without symbolic links.
    public static let resolvedDirectory = "tidemark.resolved_data_directory"
    /// Paths that led into the data directory through symbolic links; see `LinkedPath`.
    public static let linkedPaths = "tidemark.linked_paths"
    /// The files that set the server's settings, one a line.
    public static let configurationFiles = "tidemark.configuration_files"
    /// The host on which it was taken.
    public static let host = "tidemark.host"
    public var note: String?
    public var isPinned: Bool
    /// Nil when the pin doesn't expire.
    public var pinnedUntil: Moment?
    public var timings: BackupTimings
    /// The version of tidemark that took it.
    public var tidemarkVersion: String

    /// What it needs to be consistent.
    public var wal: BackupWAL? {
        BackupWAL(on: timeline, from: startLSN, to: stopLSN, lastTimeline: stopSegment.timeline)
    }

    public init(
        label: String, kind: Kind, startTime: Moment, stopTime: Moment, startLSN: LSN, checkpointLSN: LSN,
        stopLSN: LSN, timeline: TimelineID, startSegment: SegmentName, stopSegment: SegmentName,
        systemIdentifier: UInt64, major: Int, serverVersion: Int, catalogVersion: UInt32, segmentSize: UInt32,
        fromStandby: Bool, fileCount: Int, size: Int64, storedSize: Int64, packs: [NeededPacks],
        tablespaces: [BackedUpTablespace], links: [BackedUpLink] = [], hasChecksums: Bool, verifiedPages: Int64,
        corruptPages: [CorruptPage], settings: [String: String], note: String? = nil, isPinned: Bool,
        pinnedUntil: Moment? = nil, timings: BackupTimings, tidemarkVersion: String
    ) {
        (self.label, self.kind, self.startTime) = (label, kind, startTime)
        (self.stopTime, self.startLSN, self.checkpointLSN) = (stopTime, startLSN, checkpointLSN)
        (self.stopLSN, self.timeline, self.startSegment) = (stopLSN, timeline, startSegment)
        (self.stopSegment, self.systemIdentifier, self.major) = (stopSegment, systemIdentifier, major)
        (self.serverVersion, self.catalogVersion, self.segmentSize) = (serverVersion, catalogVersion, segmentSize)
        (self.fromStandby, self.fileCount, self.size) = (fromStandby, fileCount, size)
        (self.storedSize, self.packs, self.tablespaces) = (storedSize, packs, tablespaces)
        (self.links, self.hasChecksums, self.verifiedPages) = (links, hasChecksums, verifiedPages)
        (self.corruptPages, self.settings, self.note) = (corruptPages, settings, note)
        (self.isPinned, self.pinnedUntil, self.timings) = (isPinned, pinnedUntil, timings)
        self.tidemarkVersion = tidemarkVersion
    }

    /// Whether it is pinned, and its pin has not expired.
    public func isPinned(at moment: Moment) -> Bool { isPinned && pinnedUntil.map { moment <= $0 } ?? true }

    /// Where it was taken, as `host:directory`; the data directory alone when the host isn't recorded, nil when neither
    /// is.
    public var place: String? {
        guard let directory = settings[BackupDescription.resolvedDirectory] else { return nil }
        return settings[BackupDescription.host].map { "\($0):\(directory)" } ?? directory
    }
}

/// A tablespace outside of the data directory.
public struct BackedUpTablespace: Sendable, Equatable, Codable {
    public var oid: UInt32
    public var name: String
    /// The directory that `pg_tblspc/<oid>` links to.
    public var location: String
    /// Bytes.
    public var size: Int64

    public init(oid: UInt32, name: String, location: String, size: Int64) {
        (self.oid, self.name, self.location, self.size) = (oid, name, location, size)
    }
}

/// A symbolic link in the data directory that leads to a file or directory elsewhere.
public struct BackedUpLink: Sendable, Equatable, Codable {
    /// Relative to the data directory.
    public var path: String
    /// The link's text.
    public var target: String

    public init(path: String, target: String) { (self.path, self.target) = (path, target) }
}

/// A page whose checksum is wrong in the data directory itself, and so in the copy.
public struct CorruptPage: Sendable, Equatable, Codable {
    /// The file, relative to the data directory.
    public var path: String
    /// Counts pages of the whole relation's fork from 0.
    public var block: UInt32
    /// `database.schema.relation`, when the relation map knows the file.
    public var relation: String?

    public init(path: String, block: UInt32, relation: String? = nil) {
        (self.path, self.block, self.relation) = (path, block, relation)
    }
}

/// The durations of the phases, in seconds.
public struct BackupTimings: Sendable, Equatable, Codable {
    /// Until the server's checkpoint was done.
    public var checkpoint: Double
    public var copy: Double
    /// For the closing WAL to arrive in the repository.
    public var walWait: Double
    public var total: Double
    /// Whether a backup can have taken that long: three centuries at most.
    var arePossible: Bool {
        let possible = 0.0...1e10
        return [checkpoint, copy, walWait, total].allSatisfy(possible.contains)
            && (0...Double(BackupDescription.largest)).contains(bytes)
    }
    /// Raw bytes copied.
    public var bytes: Double

    public init(checkpoint: Double, copy: Double, walWait: Double, total: Double, bytes: Double) {
        (self.checkpoint, self.copy, self.walWait) = (checkpoint, copy, walWait)
        (self.total, self.bytes) = (total, bytes)
    }
}

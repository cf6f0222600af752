public import Backups
public import DataDirectory
public import WAL

/// The options of a backup, and the facts it needs.
public struct BackupRequest: Sendable {
    /// For libpq.
    public var conninfo: String
    /// The directory on which the server runs.
    public var dataDirectory: String
    /// Threads that read, compress and write.
    public var jobs: Int
    /// zstd's level.
    public var compressLevel: Int
    /// Ask the server for an immediate checkpoint instead of a spread one.
    public var fastCheckpoint: Bool
    /// How long to wait for the closing WAL to reach the repository, in milliseconds; 0 waits for ever.
    public var walTimeout: Int64
    public var note: String?
    public var isPinned: Bool
    public var pinnedUntil: Moment?
    /// A pack is closed once it has this many bytes.
    public var packSize: Int64
    /// Raw bytes per second that all jobs together may read; nil: as fast as possible.
    public var rateLimit: Int64?
    /// Use the frames that interrupted backups have already stored, even in packs they didn't finish.
    public var resumes: Bool
    /// tidemark's own directories, which no backup may contain, even where a link leads to them.
    public var own: [ClusterPlaces.Spot]
    /// Files that the user excludes.
    public var exclude: NamedExclusions
    /// Archives a file of `pg_wal`, as the server's `archive_command` would.
    public var archive: @Sendable (_ path: String) throws -> Void
    /// Recorded in the backup.
    public var tidemarkVersion: String

    public init(conninfo: String, dataDirectory: String, jobs: Int = 2) {
        self.conninfo = conninfo
        self.dataDirectory = dataDirectory
        self.jobs = jobs
        compressLevel = 3
        fastCheckpoint = true
        walTimeout = 600_000
        isPinned = false
        packSize = 128 << 20
        resumes = false
        own = []
        exclude = NamedExclusions()
        archive = { _ in }
        tidemarkVersion = ""
    }
}

extension BackupRequest {
    /// The last second of a day in UTC, from `YYYY-MM-DD`; nil for anything else.
    public static func endOfDay(_ date: String) -> Moment? {
        guard date.utf8.count == 10 else { return nil }
        guard let moment = Moment(iso8601: date + "T23:59:59Z"), moment.description.hasPrefix(date) else { return nil }
        return moment
    }
}

/// The progress of a backup.
public enum BackupEvent: Sendable {
    case waitingForCheckpoint
    case copying(CopyProgress)
    /// The repository still lacks this WAL file; `behind` describes in words how far the server's archiver is behind.
    case waitingForWAL(file: String, behind: String)
    case warning(String)
}

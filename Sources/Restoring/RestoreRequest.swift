public import Backups
public import DataDirectory
public import Platform

/// What a restore is to do with a backup's files.
public struct RestoreRequest: Sendable {
    /// The directory that becomes the data directory: absent or empty, unless `delta`.
    public var target: String
    /// Threads that decompress and write.
    public var jobs: Int
    /// Where tablespaces go: location in the backup → directory to use now. Those not named go where they were.
    public var tablespaceMapping: [String: String]
    /// Bring an existing copy of the same cluster to the backup's state: only differing frames are rewritten, and what the
    /// backup doesn't have is removed.
    public var delta: Bool
    /// The cluster's own data directory, where that is another one. A copy of it may have its links: what they lead to is not
    /// the copy's.
    public var living: String?
    /// What a delta restore leaves alone, because no backup is to have it.
    public var exclude = NamedExclusions()
    /// Restores only a part: what becomes of each file and directory, by its path in the data directory and its bytes.
    /// Nil: everything.
    public var selection: (@Sendable (_ path: String, _ size: Int64) -> RestoreTreatment)?
    /// Bytes that must be free beside the restored files; nil: nobody looks. Known before anything is written.
    public var reserve: Int64?
    /// The copy is used at once and thrown away: nothing is fsynced, and there is no `backup_manifest`.
    public var isThrowaway = false
    /// A server will read much of it at once, so that its pages should stay in memory.
    public var isReadSoon = false

    public init(target: String, jobs: Int = 2, tablespaceMapping: [String: String] = [:], delta: Bool = false) {
        self.target = target
        self.jobs = jobs
        self.tablespaceMapping = tablespaceMapping
        self.delta = delta
    }
}

/// How a file is treated in a partial restore.
public enum RestoreTreatment: Sendable {
    case whole
    /// A file of the same length without content, which takes no space.
    case hole
    /// Not made at all.
    case absent
}

/// A file system has less space than the restore needs.
public struct NotEnoughSpace: Explained, Equatable {
    public let path: String
    public let needed: Int64
    public let free: Int64
    public var message: String { "not enough space in \"\(path)\"" }
    public var detail: String? {
        "At least \((needed + 1_048_575) >> 20) MB are needed; \(free >> 20) MB are free."
    }
    public var hint: String? { "Free space, or name another place with --scratch-directory." }
}

/// What a restore did.
public struct RestoreReport: Sendable, Equatable {
    public var files: Int
    /// Bytes of all files.
    public var size: Int64
    /// Bytes that were written; less than `size` by what a delta restore found in place and by holes.
    public var written: Int64
    /// Bytes of frames that were read from the repository.
    public var fetched: Int64 = 0
    /// Extra files that a delta restore removed.
    public var removed: Int
    /// Links that a delta restore found where the backup has a file or directory, or nothing: they are gone, and what they
    /// led to is as it was.
    public var brokenLinks: [BackedUpLink] = []
    /// Directories that the backup doesn't have, and that a delta restore left alone because something is mounted there.
    public var keptMounts: [String] = []
    public var seconds: Double
}

/// The target directory can't be used.
public struct TargetInUse: Explained, Equatable {
    public let path: String
    public let reason: String
    public let advice: String?
    public init(path: String, reason: String, advice: String? = nil) {
        (self.path, self.reason, self.advice) = (path, reason, advice)
    }
    public var message: String { "cannot restore into directory \"\(path)\"" }
    public var detail: String? { reason }
    public var hint: String? { advice }
}

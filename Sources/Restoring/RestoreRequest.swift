public import Backups
public import DataDirectory
public import Platform

/// The options of a restore.
public struct RestoreRequest: Sendable {
    /// The directory that becomes the data directory: absent or empty, unless `delta`.
    public var target: String
    /// Threads that decompress and write.
    public var jobs: Int
    /// Where tablespaces go: location in the backup → directory to use now. Others stay where they were.
    public var tablespaceMapping: [String: String]
    /// Bring an existing copy of the same cluster to the backup's state: only differing frames are rewritten, and files
    /// that the backup doesn't have are removed.
    public var delta: Bool
    /// The cluster's own data directory, if it is another one. A copy of it may share its links, or another copy's,
    /// whose targets don't belong to it.
    public var living: String?
    /// Files that a delta restore leaves alone, because backups omit them.
    public var exclude = NamedExclusions()
    /// Restores only a part: how to treat each file and directory, by its path in the data directory and its size in
    /// bytes. Nil for everything.
    public var selection: (@Sendable (_ path: String, _ size: Int64) -> RestoreTreatment)?
    /// Bytes that must be free beside the restored files, checked before anything is written; nil for no check.
    public var reserve: Int64?
    /// The copy is used once and thrown away: nothing is fsynced, and there is no `backup_manifest`.
    public var isThrowaway = false
    /// A server will read much of it at once, so its pages should stay cached.
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
    /// Not created.
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

/// The result of a restore.
public struct RestoreReport: Sendable, Equatable {
    public var files: Int
    /// Bytes of all files.
    public var size: Int64
    /// Bytes that were written; less than `size` by holes, and by what a delta restore found in place.
    public var written: Int64
    /// Bytes of frames that were read from the repository.
    public var fetched: Int64 = 0
    /// Extra files that a delta restore removed.
    public var removed: Int
    /// Links that a delta restore found where the backup has a file or directory, or nothing: they were removed, and
    /// their targets not touched.
    public var brokenLinks: [BackedUpLink] = []
    /// What a delta restore left alone because something is mounted there; nothing was restored in it.
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

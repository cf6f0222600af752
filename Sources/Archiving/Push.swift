public import Platform
public import Repository
public import WAL

/// Stores one file for PostgreSQL's archiver.
///
/// When `callAsFunction` returns, the file is in the repository, checked and durable. When it throws, the repository is
/// unchanged and PostgreSQL will offer the file again.
public struct Push: Sendable {
    public enum Outcome: Sendable, Equatable {
        case stored
        /// The repository has the same file already, or one with the same records or more.
        case confirmed
        /// The server made the file in advance and left the timeline before it wrote any WAL into it.
        case unwritten
    }

    let identity: Identity
    /// The incarnation of files that don't name it; nil means the local server's.
    var owner: ClusterArchive?
    let level: Int
    let acceptDiscontinuity: Bool
    let lookAhead: LookAhead?
    let warn: @Sendable (any Explained) -> Void
    let clock: PhaseClock

    /// - Parameters:
    ///   - cluster: the configured name.
    ///   - dataDirectory: shows whose a history file is when the caller's directory isn't a data directory.
    ///   - caller: nil for a push that nobody called for from a directory; paths are absolute then.
    ///   - owner: whose the history files are, where that is known.
    ///   - level: of zstd.
    ///   - acceptDiscontinuity: store a segment although it doesn't continue its predecessor.
    ///   - lookAhead: how to push other files that are waiting; nil pushes one file per call.
    ///   - warn: gets warnings that don't prevent the push.
    public init(
        into repository: Repository, cluster: String, dataDirectory: String?, caller: ArchiveCaller? = nil,
        owner: ClusterArchive? = nil, level: Int, acceptDiscontinuity: Bool = false, lookAhead: LookAhead? = nil,
        clock: PhaseClock = PhaseClock(),
        warn: @escaping @Sendable (any Explained) -> Void
    ) {
        identity = Identity(repository: repository, cluster: cluster, dataDirectory: dataDirectory, caller: caller)
        self.owner = owner
        self.level = level
        self.acceptDiscontinuity = acceptDiscontinuity
        self.lookAhead = acceptDiscontinuity ? nil : lookAhead
        self.clock = clock
        self.warn = warn
    }

    var store: any ObjectStore { identity.repository.store }

    func ownArchive() throws -> ClusterArchive { try owner ?? identity.archive() }

    /// Stores the file at `path`.
    ///
    /// - Parameter name: to archive it under; nil means the path's last component, the name that PostgreSQL gave it.
    public func callAsFunction(_ path: String, as name: ArchiveFileName? = nil) throws -> Outcome {
        guard let name = name ?? ArchiveFileName(Files.name(path)) else { throw NotArchivable(name: Files.name(path)) }
        let local = try LocalFile(identity.caller?.path(path) ?? path)
        switch name {
        case .segment(let segment):
            if let outcome = try pushWithOthers(local, segment) { return outcome }
            return try push(local, name, segment, presses: { try twoPresses() })
        case .partial(let segment):
            return try push(local, name, segment, presses: { try twoPresses() })
        case .history, .backupHistory: return try pushText(local, name)
        }
    }
}

extension Push {
    private func twoPresses() throws -> [SegmentPress] {
        [try SegmentPress(level: level), try SegmentPress(level: level)]
    }
}

/// The name isn't one PostgreSQL gives to files it archives.
public struct NotArchivable: Explained, Equatable {
    public let name: String
    public var message: String { "\"\(name)\" is not the name of a WAL file" }
    public var detail: String? {
        "Expected a segment's 24 hexadecimal digits, alone or followed by .partial or .<offset>.backup, or a timeline's "
            + "8 digits followed by .history."
    }
}

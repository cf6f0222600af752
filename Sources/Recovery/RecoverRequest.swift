import Archiving
public import Backups
public import DataDirectory
import Glibc
public import Planning
import Platform
public import Repository
public import Restoring
import WAL

/// A recovery to carry out: a plan and a directory.
public struct RecoverRequest: Sendable {
    public var plan: Plan
    public var backup: BackupDescription
    /// Becomes the data directory.
    public var directory: String
    public var setup: RecoverySetup
    /// Threads that restore.
    public var jobs: Int
    /// Location of a tablespace in the backup → directory to use now.
    public var tablespaceMapping: [String: String] = [:]
    /// Bring an existing copy of the cluster to the backup's state, rewriting only what differs.
    public var delta = false
    /// What `delta` leaves alone.
    public var exclude = NamedExclusions()
    /// The cluster's own data directory, if it is another one.
    public var living: String?

    public init(plan: Plan, backup: BackupDescription, directory: String, setup: RecoverySetup, jobs: Int) {
        (self.plan, self.backup, self.directory, self.setup, self.jobs) = (plan, backup, directory, setup, jobs)
    }

    var tablespaces: CopyTablespaces {
        CopyTablespaces(
            plan, backup, directory: directory, mapping: tablespaceMapping, isCopy: !setup.isOwnDirectory)
    }

    public var settings: [RecoverySetting] { plan.settings(for: setup, directory: directory) }
}

/// A data directory that is ready to be started.
public struct PreparedRecovery: Sendable {
    public var restore: RestoreReport
    public var settings: [RecoverySetting]
    /// The configuration files that were created because the backup has none, as sentences.
    public var remarks: [String]
    /// `config_file` and the like for the server's command line, each `name=value`.
    public var serverOptions: [String]
}

/// Restores the plan's backup, and sets the directory up so that the server recovers to the target when it is started.
///
/// Until the last step the directory can't be started by mistake: because of the backup's label, a server without the
/// recovery's settings fails for want of WAL. The caller confirms with `completeRestore` that it won't restore again.
/// - Throws: `TargetInUse`, and what restoring throws.
public func prepareRecovery(
    _ request: RecoverRequest, of archive: ClusterArchive,
    progress: @escaping @Sendable (CopyProgress) throws -> Void = { _ in }
) throws -> PreparedRecovery {
    try refuseIfInUse(request.directory)
    var restore = RestoreRequest(
        target: request.directory, jobs: request.jobs, tablespaceMapping: request.tablespaces.mapping,
        delta: request.delta)
    restore.exclude = request.exclude
    restore.living = request.living
    // A replay of some length reads pages one by one, and waits for each that isn't cached.
    restore.isReadSoon = request.plan.walSize > request.backup.size / 20
    let restored = try restoreBackup(request.backup, of: archive, request: restore, progress: progress)
    try request.tablespaces.prepareYounger(in: request.directory)
    let configuration = ServerConfiguration(request.backup, directory: request.directory, setup: request.setup)
    let unread = try configuration.relocate()
    let (remarks, options) = try configuration.complete()
    for name in request.plan.partials { try placePartial(name, request, of: archive) }
    for segment in request.plan.forkedSegments {
        try segment.place(
            in: request.directory + "/pg_wal", isPartial: request.plan.partials.contains(segment.child),
            isCopy: !request.setup.isOwnDirectory, of: archive)
    }
    try writeSettings(request, serverOptions: options)
    try signal(request.setup.isStandby ? "standby.signal" : "recovery.signal", directory: request.directory)
    return PreparedRecovery(
        restore: restored, settings: request.settings,
        remarks: LinkOutlook(
            request.backup, directory: request.directory, exclude: request.exclude,
            isCopy: !request.setup.isOwnDirectory
        ).told(restored) + unread + remarks,
        serverOptions: options)
}

/// Writes the request's settings to `postgresql.auto.conf`, in place of those of an earlier call.
///
/// - Parameter serverOptions: as in `PreparedRecovery`.
public func writeSettings(_ request: RecoverRequest, serverOptions: [String]) throws {
    let settings = request.settings
    try CopySocket(of: request.directory).prepare(for: settings)
    try SettingsBlock(request, serverOptions: serverOptions).write(settings)
}

/// PostgreSQL never requests a `.partial` from restore_command, but uses a segment that it finds in pg_wal.
private func placePartial(_ name: SegmentName, _ request: RecoverRequest, of archive: ClusterArchive) throws {
    let path = "\(request.directory)/pg_wal/\(name)"
    try Files.removeIfPresent(path)
    let stored = try archive.stored(.partial(name))
    try createDurably(path, mode: 0o600) { file, temporary in
        let patches = try stored.extract(as: name, of: archive, isCopy: !request.setup.isOwnDirectory) {
            try file.write($0, path: temporary)
        }
        for patch in patches {
            try patch.bytes.withUnsafeBytes { try file.write($0, at: Int64(patch.offset), path: temporary) }
        }
    }
}

extension StoredSegment {
    /// - Parameter isCopy: whether the directory that replays it isn't the cluster's own.
    /// - Returns: the bytes to overwrite.
    func extract(
        as segment: SegmentName, of archive: ClusterArchive, isCopy: Bool,
        write: (UnsafeRawBufferPointer) throws -> Void
    ) throws -> [SegmentPatch] {
        if isCopy { return try extractConfined(as: segment, of: archive, write: write) }
        var decompressor = try Decompressor()
        try extract(with: &decompressor, write: write)
        return []
    }
}

private func signal(_ name: String, directory: String) throws {
    for other in ["standby.signal", "recovery.signal"] { try Files.removeIfPresent(directory + "/" + other) }
    try createDurably(directory + "/" + name, bytes: [], mode: 0o600)
}

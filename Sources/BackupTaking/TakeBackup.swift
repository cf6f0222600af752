public import Backups
import DataDirectory
import Glibc
import Platform
import Postgres
public import Repository
import WAL

/// Takes a full base backup of a running server, primary or standby.
///
/// Puts the server into backup mode, copies its data directory and tablespaces into packs on `request.jobs` threads
/// while it verifies pages, and once the WAL that makes the copy consistent is in the repository, completes the backup
/// with `backup.json`. A process that dies before leaves nothing that is listed as complete, and no lock.
///
/// - Parameters:
///   - cluster: its name in the repository, in which `tidemark init` must have created it.
///   - report: called on the calling thread. What it throws ends the backup.
/// - Returns: the backup; its `corruptPages` may not be empty.
/// - Throws: `ConnectionFailure`, `QueryFailure`, `BackupInProgress`, `SystemError`, and `Problem`s.
public func takeBackup(
    _ request: BackupRequest, cluster: String, into repository: Repository,
    report: @escaping @Sendable (BackupEvent) throws -> Void = { _ in }
) throws -> BackupDescription {
    let source = try BackupSource(request, cluster: cluster, repository: repository)
    let lock = try BackupLock(source.archive)
    return try source.backUp(under: lock, report: report)
}

/// A server and its data directory, checked to belong together and to be ready for a backup.
struct BackupSource {
    let request: BackupRequest
    let server: Connection
    let directory: DataDirectory
    let control: ControlFile
    let archive: ClusterArchive
    let isStandby: Bool

    init(_ request: BackupRequest, cluster: String, repository: Repository) throws {
        self.request = request
        directory = DataDirectory(request.dataDirectory)
        server = try Connection(request.conninfo, serverOn: directory)
        control = try directory.controlFile()
        let major = try directory.majorVersion()
        guard (13...18).contains(major) else {
            throw Problem(
                "cannot back up PostgreSQL \(major)", detail: "This version of tidemark backs up PostgreSQL 13 to 18.")
        }
        archive = repository.archive(
            Incarnation(cluster: cluster, major: major, systemIdentifier: control.systemIdentifier))
        isStandby = try server.isStandby()
        try checkServer()
        try checkRepository()
    }

    /// Checks that the server runs on this directory and archives its WAL.
    private func checkServer() throws {
        // The backup of a copy would wait in vain for this cluster's WAL.
        try server.confirmRuns(on: directory)
        let settings = try server.settings(["wal_level", "archive_mode"])
        if settings["wal_level"] == "minimal" {
            throw Problem(
                "cannot back up a server with wal_level = minimal",
                hint: "Set wal_level = replica and restart the server; "
                    + "\"\(runnable("tidemark init --write"))\" does the first part.")
        }
        if !isStandby && settings["archive_mode"] == "off" {
            throw Problem(
                "the server does not archive its WAL", detail: "A backup is not usable without the WAL around it.",
                hint: "\"\(runnable("tidemark init"))\" prints the settings that archiving needs.")
        }
    }

    private func checkRepository() throws {
        guard try archive.isUsable() else {
            if let lost = try archive.lostMarker() { throw lost }
            throw Problem(
                "repository \"\(archive.store.location)\" is not prepared for cluster \"\(archive.incarnation.cluster)\"",
                detail: "It has no folder for PostgreSQL \(archive.incarnation.major) with system identifier "
                    + "\(archive.incarnation.systemIdentifier).",
                hint: "Run \"\(runnable("tidemark init"))\".")
        }
        try arrival.refuseAside(directory.timeline(control))
    }

    private var arrival: WALArrival {
        WALArrival(
            archive: archive, segmentSize: control.segmentSize, dataDirectory: directory.path,
            timeout: request.walTimeout)
    }

    /// The label for the start time, advanced by whole seconds while another backup has it.
    func freeLabel(from start: Moment) throws -> String {
        var moment = start
        while true {
            let label = moment.compact + "-full"
            if try archive.store.list(archive.incarnation.backupFolder(label)).isEmpty,
                try archive.store.list(archive.incarnation.packFolder(label)).isEmpty
            {
                // A backup that was killed in the same second, before its first object, may have left temporaries here.
                for folder in [archive.incarnation.backupFolder(label), archive.incarnation.packFolder(label)] {
                    _ = try? archive.store.removeLeftovers(in: folder)
                }
                return label
            }
            moment = Moment(microseconds: moment.microseconds + 1_000_000)
        }
    }

    func backUp(under lock: BackupLock, report: @escaping @Sendable (BackupEvent) throws -> Void) throws
        -> BackupDescription
    {
        defer { withExtendedLifetime(lock) {} }
        let began = Clock.monotonic
        let startTime = try server.now()
        let label = try freeLabel(from: startTime)
        try report(.waitingForCheckpoint)
        let start = try server.startBackup(label: "tidemark \(label)", fast: request.fastCheckpoint)
        let checkpointDone = Clock.monotonic
        if isStandby { try archiveCopiedWAL(from: start) }

        let manifest = try ManifestWriter()
        let walk = try ClusterWalk(
            directory, major: archive.incarnation.major,
            tablespaceFolder: DataDirectory.tablespaceFolder(
                major: archive.incarnation.major, catalogVersion: control.catalogVersion), request: request,
            into: manifest)
        for warning in walk.warnings { try report(.warning(warning)) }
        let copy = ClusterCopy(
            manifest, source: self, label: label, start: start,
            salvage: try request.resumes ? Salvage(archive) : Salvage())
        try copy.run(report: report)
        let copied = Clock.monotonic

        var survey = RelationSurvey(server, conninfo: request.conninfo, directory, into: manifest)
        let superusers = try survey.run()
        for warning in survey.warnings { try report(.warning(warning)) }
        let lastControl = try ControlFile.readWithBytes(dataDirectory: directory.path)
        let end = try stopBackup()
        let stopTime = try server.now()
        let labelFile = try BackupLabelFile(parsing: end.labelFile)
        let stop = try consistentPoint(labelFile, end, lastControl.0)
        let stored = try copy.finish(control: lastControl.bytes, end: end, stop: stop, superusers: superusers)

        // The server may stop while the backup waits.
        let tablespaces = try self.tablespaces(walk.tablespaces, manifest)
        let settings = try recordedSettings(server)
        let waitBegan = Clock.monotonic
        let stopSegment = try arrival.wait(
            for: labelFile, through: stop, server: server, isStandby: isStandby, report: report)
        let ended = Clock.monotonic

        func seconds(_ from: UInt64, _ to: UInt64) -> Double { Double((to - from) / 1000) / 1e6 }
        let description = BackupDescription(
            label: label, kind: .full, startTime: startTime, stopTime: stopTime, startLSN: labelFile.start,
            checkpointLSN: labelFile.checkpoint, stopLSN: stop, timeline: labelFile.timeline,
            startSegment: labelFile.startSegment, stopSegment: stopSegment,
            systemIdentifier: control.systemIdentifier, major: archive.incarnation.major,
            serverVersion: server.serverVersion, catalogVersion: control.catalogVersion,
            segmentSize: control.segmentSize, fromStandby: labelFile.fromStandby, fileCount: stored.fileCount,
            size: stored.size, storedSize: stored.storedSize, packs: stored.packs,
            tablespaces: tablespaces, links: walk.links,
            hasChecksums: control.hasChecksums,
            verifiedPages: stored.verifiedPages, corruptPages: stored.corruptPages,
            settings: settings, note: request.note,
            isPinned: request.isPinned, pinnedUntil: request.pinnedUntil,
            timings: BackupTimings(
                checkpoint: seconds(began, checkpointDone), copy: seconds(checkpointDone, copied),
                walWait: seconds(waitBegan, ended), total: seconds(began, ended), bytes: Double(stored.bytesRead)),
            tidemarkVersion: request.tidemarkVersion)
        try copy.confirm()
        let document = try description.document()
        // Without the lock an expiration may take these objects for a dead backup's.
        try lock.confirm()
        try LastStep.run("Backup \(label) is complete.") {
            try archive.store.create(archive.incarnation.backupDescription(label), document)
            try archive.store.create(
                archive.incarnation.backup(label, BackupSeal.objectName), bytes: BackupSeal.text(of: document.bytes))
        }
        return description
    }

    private func stopBackup() throws -> BackupModeEnd {
        do { return try server.stopBackup() } catch let refused as QueryFailure {
            if isStandby, (try? server.isStandby()) == false { throw StandbyPromoted() }
            throw refused
        }
    }

    /// A standby without `archive_mode = always` leaves archiving to its primary.
    private func archiveCopiedWAL(from start: LSN) throws {
        guard try server.setting("archive_mode") == "always" else { return }
        let folder = directory.path + "/pg_wal"
        let copied = CopiedWAL(archive: archive, segmentSize: control.segmentSize, folder: folder)
        for name in try copied.missing(from: start, replayed: server.currentLSN()) {
            try request.archive("\(folder)/\(name)")
        }
    }

    /// A server on the copy must not have lower values of the first five while it recovers
    /// (<https://www.postgresql.org/docs/current/hot-standby.html>), and needs room for the original's replication
    /// origins (the next two: the second since PostgreSQL 18, the first before); the others describe the copy.
    static let recordedSettings = [
        "max_connections", "max_worker_processes", "max_wal_senders", "max_prepared_transactions",
        "max_locks_per_transaction", "max_replication_slots", "max_active_replication_origins", "server_encoding",
        "lc_collate", "lc_messages", "lc_monetary",
        "lc_numeric", "lc_time", "TimeZone", "shared_preload_libraries",
        "config_file", "hba_file", "ident_file", "wal_level", "archive_mode", "port", "full_page_writes",
        "track_commit_timestamp", "server_version", "shared_buffers", "huge_pages",
        "data_directory", "external_pid_file", "log_directory", "log_filename", "logging_collector",
        "stats_temp_directory",
        "unix_socket_directories", "krb_server_keyfile", "ssl", "ssl_cert_file", "ssl_key_file", "ssl_ca_file",
        "ssl_crl_file", "ssl_crl_dir", "ssl_dh_params_file",
    ]

    private func recordedSettings(_ server: Connection) throws -> [String: String] {
        var settings = try server.settings(BackupSource.recordedSettings)
        if let place = realpath(directory.path, nil) {
            settings[BackupDescription.resolvedDirectory] = String(cString: place)
            free(place)
        }
        settings[BackupDescription.host] = hostName()
        settings[BackupDescription.linkedPaths] = LinkedPath.find(settings, dataDirectory: directory)
        // Only members of pg_read_all_settings can read it.
        settings[BackupDescription.configurationFiles] = try server.query(
            "SELECT string_agg(DISTINCT sourcefile, E'\\n') FROM pg_settings WHERE sourcefile IS NOT NULL"
        ).scalar
        return settings
    }

    /// Where a server on the copy becomes consistent.
    ///
    /// A primary writes a record that says so. On a standby it is the minimum recovery point of the pg_control in the
    /// copy (`InitWalRecovery`, src/backend/access/transam/xlogrecovery.c), which covers every page that was copied
    /// before it, and is at most the LSN that pg_backup_stop returns.
    ///
    /// pg_control is read before pg_backup_stop, as pg_basebackup reads it: a standby that has been promoted since then
    /// makes pg_backup_stop fail, whereas the pg_control of a primary would make the copy unusable.
    /// - Throws: `Problem` when the standby has followed its primary to another timeline since the backup's start.
    private func consistentPoint(_ label: BackupLabelFile, _ end: BackupModeEnd, _ control: ControlFile) throws -> LSN {
        guard label.fromStandby else { return end.stop }
        guard control.minimumRecoveryTimeline == label.timeline else {
            throw Problem(
                "the standby is on another timeline than the backup's start",
                detail: "The backup began on timeline \(label.timeline), and its end is on timeline "
                    + "\(control.minimumRecoveryTimeline).",
                hint: "Take the backup again, after the next checkpoint of the primary.")
        }
        return max(control.minimumRecoveryPoint, label.start)
    }

    private func tablespaces(_ links: [TablespaceLink], _ manifest: ManifestWriter) throws -> [BackedUpTablespace] {
        let names = try server.query("SELECT oid, spcname FROM pg_tablespace")
        return try links.filter { !$0.isInPlace }.map { link in
            BackedUpTablespace(
                oid: link.oid, name: names.values.first { $0[0] == String(link.oid) }?[1] ?? String(link.oid),
                location: link.location, size: try manifest.size(below: "pg_tblspc/\(link.oid)"))
        }
    }
}

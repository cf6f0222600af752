import BackupTaking
import Backups
import DataDirectory
import Glibc
import Platform
import Repository
import Restoring
import Support
import WAL

/// A server that archives into a repository of its own.
final class BackupFixture {
    let cluster: TestCluster
    let scratch: Scratch
    let store: DirectoryStore
    let incarnation: Incarnation
    var archive: ClusterArchive { ClusterArchive(incarnation, in: store) }
    let configuration: String

    init(
        _ server: TestServer = .v15, initdb: [String] = ["--data-checksums"], settings: [String: String] = [:],
        in place: String = TestPlace.directory
    ) throws {
        scratch = try Scratch(in: place)
        let repository = scratch.file("repository")
        try Files.makeDirectories(repository)
        configuration = scratch.file("tidemark.conf")
        let push = "\(try Executables.tidemark()) archive-push --config \(configuration) %p"
        var all = ["archive_mode": "on", "archive_command": "'\(push)'", "archive_timeout": "0"]
        all.merge(settings) { $1 }
        cluster = try TestCluster(server, settings: all, initdb: initdb, in: place, start: false)
        let control = try ControlFile(dataDirectory: cluster.data)
        incarnation = Incarnation(
            cluster: "main", major: server.rawValue, systemIdentifier: control.systemIdentifier)
        store = DirectoryStore(repository)
        try store.create(incarnation.marker, incarnation.sealedMarker)
        let text = """
            repository = '\(repository)'
            state_directory = '\(scratch.file("state"))'
            [cluster main]
            data_directory = '\(cluster.data)'
            conninfo = '\(cluster.conninfo)'
            bin_directory = '\(server.bin)'

            """
        try createDurably(configuration, bytes: Array(text.utf8), mode: 0o644)
        _ = try run("/bin/chmod", ["-R", "a+rwX", repository])
        try cluster.start()
    }

    func request(_ change: (inout BackupRequest) -> Void = { _ in }) -> BackupRequest {
        var request = BackupRequest(conninfo: cluster.conninfo, dataDirectory: cluster.data, jobs: 2)
        request.walTimeout = 300_000
        change(&request)
        return request
    }

    func takeBackup(_ change: (inout BackupRequest) -> Void = { _ in }) throws -> BackupDescription {
        try BackupTaking.takeBackup(request(change), cluster: "main", into: Repository(store))
    }

    func restore(
        _ backup: BackupDescription, to directory: String, mapping: [String: String] = [:], delta: Bool = false
    ) throws -> RestoreReport {
        let report = try restoreBackup(
            backup, of: archive,
            request: RestoreRequest(target: directory, jobs: 2, tablespaceMapping: mapping, delta: delta))
        try completeRestore(directory)
        return report
    }

    /// The result of pg_verifybackup for a restored directory, WAL included.
    func verify(_ directory: String) throws -> Finished {
        let wal = scratch.file("wal-\(Files.name(directory))")
        try Files.makeDirectories(wal, mode: 0o777)
        for timeline in try archive.timelines() {
            for segment in try archive.segments(timeline: timeline) {
                _ = try run(
                    "/usr/bin/zstd",
                    ["-q", "-d", "-f", store.path(incarnation.segment(segment)), "-o", wal + "/" + segment.description])
            }
        }
        _ = try run("/bin/chown", ["-R", "postgres", directory, wal])
        if cluster.server == .v18 { return try verifyOn18(directory) }
        return try runAsServerUser(
            cluster.server.bin + "/pg_verifybackup", ["-w", wal, directory], expectSuccess: false)
    }

    /// The wheel's pg_verifybackup 18 crashes before main(), even with --version. pg_combinebackup 18 reads the
    /// manifest and compares its system identifier with pg_control; pg_verifybackup 16 checks the same list of files
    /// under the first version of the format.
    private func verifyOn18(_ directory: String) throws -> Finished {
        let combined = try runAsServerUser(
            cluster.server.bin + "/pg_combinebackup", ["--dry-run", "-o", directory + "-combined", directory],
            expectSuccess: false)
        guard combined.ending == .exited(0) else { return combined }
        let copy = directory + "-version1"
        try runAsServerUser("/bin/cp", ["-a", directory, copy])
        let lines = try Files.readText(copy + "/backup_manifest").split(
            separator: "\n", omittingEmptySubsequences: false)
        let body =
            "{ \"PostgreSQL-Backup-Manifest-Version\": 1,\n" + lines.dropFirst(2).dropLast(2).joined(separator: "\n")
            + "\n"
        try createDurably(copy + "/body", bytes: Array(body.utf8))
        let sum = try run("/usr/bin/sha256sum", [copy + "/body"]).output.prefix(64)
        try Files.remove(copy + "/body")
        try replaceDurably(
            copy + "/backup_manifest", bytes: Array((body + "\"Manifest-Checksum\": \"\(sum)\"}\n").utf8), mode: 0o644)
        return try runAsServerUser(TestServer.v16.bin + "/pg_verifybackup", ["-n", copy], expectSuccess: false)
    }

    /// Starts a server on a restored directory, recovering to the end of the archive, and stops it after `body`.
    func onRecovered<Value>(_ directory: String, _ body: (RestoredServer) throws -> Value) throws -> Value {
        let server = try RestoredServer(directory, self)
        defer { server.stop() }
        return try body(server)
    }
}

/// A server on a restored directory.
final class RestoredServer {
    let directory: String
    private let fixture: BackupFixture

    init(_ directory: String, _ fixture: BackupFixture) throws {
        self.directory = directory
        self.fixture = fixture
        let get = "\(try Executables.tidemark()) archive-get --config \(fixture.configuration) %f %p"
        try replaceDurably(directory + "/recovery.signal", bytes: [])
        _ = try run("/bin/chown", ["-R", "postgres", directory])
        let options =
            "-c unix_socket_directories=\(directory) -c archive_mode=off -c recovery_target_action=promote "
            + "-c restore_command='\(get)'"
        let finished = try runAsServerUser(
            fixture.cluster.server.bin + "/pg_ctl",
            ["-D", directory, "-l", directory + "/log", "-o", options, "-w", "-t", "300", "start"], expectSuccess: false
        )
        guard finished.ending == .exited(0) else {
            throw Problem("could not start on \(directory): \((try? Files.readText(directory + "/log")) ?? "")")
        }
        try fixture.cluster.wait(for: "the end of recovery") { try psql("SELECT pg_is_in_recovery()") == "f" }
    }

    func psql(_ sql: String, database: String = "postgres") throws -> String {
        let finished = try runAsServerUser(
            fixture.cluster.server.bin + "/psql",
            ["-h", directory, "-U", "postgres", "-d", database, "-XAtq", "-v", "ON_ERROR_STOP=1", "-c", sql])
        return String(finished.output.dropLast())
    }

    func stop() {
        _ = try? runAsServerUser(
            fixture.cluster.server.bin + "/pg_ctl", ["-D", directory, "-m", "fast", "-w", "stop"], expectSuccess: false)
    }
}

extension TestCluster {
    /// Makes a standby in a directory, which is also where its socket is, and starts it.
    func startStandby(at directory: String) throws {
        try runAsServerUser(
            server.bin + "/pg_basebackup",
            ["-h", self.directory, "-U", "postgres", "-D", directory, "-R", "-c", "fast", "-X", "stream"])
        try runAsServerUser(
            server.bin + "/pg_ctl",
            [
                "-D", directory, "-l", directory + "/log", "-o", "-c unix_socket_directories=\(directory)", "-w", "-t",
                "300", "start",
            ])
    }

    func stopStandby(at directory: String) {
        _ = try? runAsServerUser(
            server.bin + "/pg_ctl", ["-D", directory, "-m", "immediate", "-w", "stop"], expectSuccess: false)
    }
}

import Glibc
import Platform
import Repository
import Support
import Synchronization
import WAL

/// A stopped cluster with 1 MB segments and copies of WAL files it made, for tests that need real files but no server.
final class FinishedCluster: Sendable {
    let scratch: Scratch
    let data: String
    /// Consecutive completed segments.
    let segments: [SegmentName]
    let incarnation: Incarnation
    /// A backup history file and its text.
    let backupHistory: String

    /// One of each version, created on demand.
    static func shared(_ server: TestServer = .v15) throws -> FinishedCluster {
        try all.withLock { all in
            if let made = all[server] { return made }
            if all.isEmpty { atexit { FinishedCluster.removeAll() } }
            let new = try FinishedCluster(server)
            all[server] = new
            return new
        }
    }

    private static let all = Mutex<[TestServer: FinishedCluster]>([:])

    private static func removeAll() {
        for cluster in all.withLock({ $0.values.map(\.scratch.path) }) { try? Files.removeTree(cluster) }
    }

    func wal(_ name: String) -> String { scratch.file("wal/" + name) }

    private init(_ server: TestServer) throws {
        scratch = try Scratch()
        let wal = scratch.file("wal")
        let cluster = try TestCluster(
            server,
            settings: ["archive_mode": "on", "archive_command": "'cp %p \(wal)/%f'", "full_page_writes": "off"],
            initdb: ["--wal-segsize=1"], start: false)
        try Files.makeDirectories(wal)
        chmod(wal, 0o777)
        try cluster.start()
        try cluster.psql("create table t as select g, repeat(md5(g::text), 5) from generate_series(1, 40000) g")
        try cluster.psql("select \(server.startBackup("x")); select \(server.stopBackup(waiting: false))")
        // A segment switch right after that of the backup would do nothing, and its result has another name since 17.
        try cluster.psql("create table behind ()")
        let last = try cluster.psql("select pg_walfile_name(pg_switch_wal())")
        try cluster.wait(for: "archived segments") { access(wal + "/" + last, F_OK) == 0 }
        let major = Int(try cluster.psql("show server_version_num"))! / 10000
        let identifier = UInt64(try cluster.psql("select system_identifier from pg_control_system()"))!
        try cluster.stop()
        incarnation = Incarnation(cluster: "main", major: major, systemIdentifier: identifier)
        data = scratch.file("data")
        let copied = try run("/bin/cp", ["-a", cluster.data, data])
        guard copied.ending == .exited(0) else { throw Problem(copied.errors) }
        let names = try Files.list(wal)
        segments = names.compactMap { SegmentName($0) }.sorted()
        backupHistory = names.first { $0.hasSuffix(".backup") } ?? ""
        _ = try run("/bin/chmod", ["-R", "a+rX", wal])
    }
}

/// A repository for a `FinishedCluster`, and the executable configured for it.
final class Archive: Sendable {
    let origin: FinishedCluster
    let scratch: Scratch
    var repository: String { scratch.file("repository") }
    var configuration: String { scratch.file("tidemark.conf") }
    var store: DirectoryStore { DirectoryStore(repository) }
    var archived: ClusterArchive { ClusterArchive(origin.incarnation, in: store) }

    init(
        _ server: TestServer = .v15, initialised: Bool = true, settings: [String] = [], repository: String? = nil
    ) throws {
        origin = try FinishedCluster.shared(server)
        scratch = try Scratch()
        let text = """
            repository = '\(repository ?? scratch.file("repository"))'
            state_directory = '\(scratch.file("state"))'
            \(settings.joined(separator: "\n"))
            [cluster main]
            data_directory = '\(origin.data)'
            """
        try createDurably(configuration, bytes: Array((text + "\n").utf8), mode: 0o644)
        if repository == nil {
            try Files.makeDirectories(self.repository)
            if initialised { try store.create(origin.incarnation.marker, origin.incarnation.sealedMarker) }
        }
        try giveToServer(self.repository)
    }

    /// Files made by the tests belong to the server's user, who runs tidemark.
    func giveToServer(_ path: String) throws {
        if geteuid() == 0 { _ = try run("/bin/chown", ["-R", "postgres:", path]) }
    }

    func path(_ name: SegmentName) -> String { store.path(origin.incarnation.segment(name)) }

    @discardableResult
    func push(
        _ path: String, _ options: [String] = [], by program: Program = .lean, fault: String? = nil,
        expectSuccess: Bool = false
    ) throws -> Finished {
        try tidemark(
            ["archive-push", "--config", configuration] + options + [path], by: program,
            environment: fault.map { ["TIDEMARK_FAULT": $0] } ?? [:], expectSuccess: expectSuccess)
    }

    @discardableResult
    func get(
        _ name: String, to destination: String, by program: Program = .lean, fault: String? = nil,
        expectSuccess: Bool = false
    ) throws -> Finished {
        try tidemark(
            ["archive-get", "--config", configuration, name, destination], by: program,
            environment: fault.map { ["TIDEMARK_FAULT": $0] } ?? [:], expectSuccess: expectSuccess)
    }

    /// A copy of a WAL file under another name, to be damaged.
    func copy(_ name: String, as other: String? = nil, _ change: (inout [UInt8]) -> Void = { _ in }) throws -> String {
        var bytes = try Files.read(origin.wal(name))
        change(&bytes)
        let path = scratch.file(other ?? name)
        try replaceDurably(path, bytes: bytes, mode: 0o644)
        return path
    }

    /// Every file of the repository with its content's digest.
    func contents() throws -> [String: Digest] {
        let finished = try run("/usr/bin/find", [repository, "-type", "f"])
        var all: [String: Digest] = [:]
        for path in finished.output.split(separator: "\n").map(String.init) {
            all[path] = Digest(of: try Files.read(path))
        }
        return all
    }
}

import Glibc
import Platform
import Repository
import Support
import Testing
import WAL

extension TestSite {
    func incarnation() throws -> Incarnation {
        try #require(Repository(DirectoryStore(repository)).incarnations(of: "main").first)
    }

    func archive() throws -> ClusterArchive { ClusterArchive(try incarnation(), in: DirectoryStore(repository)) }

    /// Every segment the server believes archived is in the repository and whole; those still in pg_wal are the same.
    func checkEverythingArchived() throws {
        let archive = try archive()
        var decompressor = try Decompressor()
        let last = try #require(SegmentName(try cluster.psql("select last_archived_wal from pg_stat_archiver")))
        let stored = try archive.segments(timeline: last.timeline)
        #expect(stored.last.map { $0 >= last } == true)
        for (name, next) in zip(stored, stored.dropFirst()) { #expect(name.next(segmentSize: 1 << 20) == next) }
        var previous: SegmentSummary?
        for name in stored {
            let segment = try archive.stored(name)
            var bytes: [UInt8] = []
            try segment.extract(with: &decompressor) { bytes += $0 }
            let local = cluster.data + "/pg_wal/\(name)"
            if try Files.exists(cluster.data + "/pg_wal/archive_status/\(name).done") {
                #expect(try Files.read(local) == bytes, "\(name)")
            }
            let summary = try SegmentSummary(decoding: segment.head.summary)
            if let previous {
                if case .broken(let link) = Continuity.join(previous, summary) { Issue.record("\(name): \(link)") }
            }
            previous = summary
        }
    }
}

/// A copy of the running server's data directory, made between pg_backup_start and pg_backup_stop.
func copyOfDataDirectory(_ site: TestSite) throws -> String {
    let copy = site.scratch.file("base")
    // In one connection, as pg_backup_stop requires.
    try runAsServerUser(
        site.cluster.server.bin + "/psql",
        [
            "-h", site.cluster.directory, "-U", "postgres", "-d", "postgres", "-XAtq", "-v", "ON_ERROR_STOP=1",
            "-c", "select \(site.cluster.server.startBackup("copy"))", "-c", "\\! cp -a \(site.cluster.data) \(copy)",
            "-c", "\\o \(copy)/backup_label", "-c",
            "select labelfile from \(site.cluster.server.stopBackup(waiting: true))",
        ])
    try Files.remove(copy + "/postmaster.pid")
    return copy
}

/// A server on a data directory of its own, stopped with the object.
final class StandIn: Sendable {
    let data: String
    let scratch: Scratch
    let server: TestServer
    var logFile: String { scratch.file("log") }

    init(data: String, _ server: TestServer = .v15) throws {
        self.data = data
        self.server = server
        scratch = try Scratch()
        let file = data + "/postgresql.conf"
        try replaceDurably(
            file, bytes: try Files.read(file) + Array("\nunix_socket_directories = '\(scratch.path)'\n".utf8))
        if geteuid() == 0 { _ = try run("/bin/chown", ["postgres:", file]) }
    }

    /// Starts, and waits for the end of recovery.
    func start() throws {
        guard try control("start").ending == .exited(0) else { throw Problem((try? Files.readText(logFile)) ?? "") }
        do { try wait(for: "the end of recovery") { try psql("select pg_is_in_recovery()") == "f" } } catch {
            throw Problem("\(error)", detail: try? Files.readText(logFile))
        }
    }

    func startExpectingFailure() throws { #expect(try control("start").ending != .exited(0)) }

    func stop() throws { _ = try control("stop") }

    private func control(_ verb: String) throws -> Finished {
        try runAsServerUser(
            server.bin + "/pg_ctl", ["-D", data, "-l", logFile, "-w", "-t", "300", "-m", "immediate", verb],
            expectSuccess: false)
    }

    @discardableResult
    func psql(_ sql: String) throws -> String {
        let finished = try runAsServerUser(
            server.bin + "/psql",
            ["-h", scratch.path, "-U", "postgres", "-d", "postgres", "-XAtq", "-v", "ON_ERROR_STOP=1", "-c", sql])
        return finished.output.split(separator: "\n").joined(separator: "\n")
    }
}

/// Prepares a copy for recovery from the archive to its end; not started yet.
func recover(_ base: String, _ site: TestSite) throws -> StandIn {
    let settings = """

        archive_mode = off
        restore_command = '\(try Executables.tidemark()) archive-get --config \(site.configuration) %f %p'
        recovery_target_timeline = 'latest'

        """
    let file = base + "/postgresql.conf"
    try replaceDurably(file, bytes: try Files.read(file) + Array(settings.utf8))
    try replaceDurably(base + "/recovery.signal", bytes: [])
    if geteuid() == 0 { _ = try run("/bin/chown", ["-R", "postgres:", base]) }
    return try StandIn(data: base, site.cluster.server)
}

import Glibc
import Platform
import Support
import Testing

/// A recovery in place by a tidemark that can't see the server's process, because it has a PID namespace of its own.
private struct HiddenServer: Sendable, CustomTestStringConvertible {
    let testDescription: String
    /// Further namespaces of tidemark's, for unshare(1).
    var namespaces: [String] = []
    /// A shell script in tidemark's mount namespace; `$DATA` is the data directory, `$SOCKET` the socket, `$EMPTY` an
    /// empty file, `$OTHER` a copy of postmaster.pid with another process.
    var script = ":"
    /// Whether tidemark sees the processes after all, under other numbers.
    var seesProcesses = false
    let says: [String]

    private static let hidesSocket = "mount --bind $EMPTY $SOCKET && mount --bind $EMPTY $SOCKET.lock"
    private static let inDoubt = ["A server may be running on it", "remove \"DATA/postmaster.pid\""]

    static let all = [
        HiddenServer(testDescription: "the socket answers", says: ["accepts connections at its socket"]),
        HiddenServer(
            testDescription: "the socket answers, and nothing else is shared", namespaces: ["--ipc", "--net"],
            says: ["accepts connections at its socket"]),
        HiddenServer(
            testDescription: "only the shared memory is seen", script: hidesSocket,
            says: ["its shared memory is in use"]),
        HiddenServer(
            testDescription: "only a process that works in the directory is seen", namespaces: ["--ipc"],
            script: "\(hidesSocket) && mount --bind $OTHER $DATA/postmaster.pid", seesProcesses: true,
            says: ["works in it"]),
        HiddenServer(
            testDescription: "nothing is seen", namespaces: ["--ipc"], script: hidesSocket, says: inDoubt),
        HiddenServer(
            testDescription: "the socket is another server's", namespaces: ["--ipc"],
            script: "mount --bind $OTHER $DATA/postmaster.pid", says: inDoubt),
        HiddenServer(
            testDescription: "only conninfo leads to it", namespaces: ["--ipc"],
            script: "mount --bind $EMPTY $DATA/postmaster.pid",
            says: ["The server that \"conninfo\" leads to runs on it", "Stop that server"]),
    ]
}

@Suite(.serialized) struct NamespaceServerTests {
    private static let site = TestSite.shared { try make() }

    private static func make() throws -> TestSite {
        let site = try TestSite(initdb: ["--wal-segsize=1"])
        try site.cluster.psql("create table t as select 1 n")
        try site.tidemark(["backup"], expectSuccess: true)
        try site.cluster.psql("insert into t values (2)")
        try site.archiveEverything()
        return site
    }

    private func recover(_ site: TestSite, _ row: HiddenServer, _ arguments: [String]) throws -> Finished {
        let scratch = try Scratch()
        let data = site.cluster.data
        let pid = try Files.readText(data + "/postmaster.pid").split(separator: "\n", maxSplits: 1)
        try createDurably(scratch.file("empty"), bytes: [], mode: 0o644)
        try createDurably(scratch.file("other"), bytes: Array("4000000\n\(pid[1])".utf8), mode: 0o644)
        chmod(scratch.path, 0o755)
        let script = "\(row.script) && exec runuser -u postgres -- \"$@\""
        let own = row.seesProcesses ? ["--mount"] : ["--pid", "--fork", "--mount-proc"]
        return try run(
            "/usr/bin/unshare",
            own + row.namespaces + [
                "/usr/bin/env", "DATA=\(data)", "SOCKET=\(site.cluster.directory)/.s.PGSQL.5432",
                "EMPTY=\(scratch.file("empty"))", "OTHER=\(scratch.file("other"))",
                "TIDEMARK_CONFIG=\(site.configuration)", "/bin/sh", "-c", script, "sh", Executables.tidemark(),
                "recover", "--target", "latest", "--yes",
            ] + arguments)
    }

    @Test(arguments: HiddenServer.all)
    private func `a server whose process is not seen keeps its directory`(_ row: HiddenServer) throws {
        try #require(geteuid() == 0, "namespaces need root")
        let site = try Self.site.get()
        let data = site.cluster.data
        for arguments in [["--start"], ["--delta"], ["--dry-run"]] {
            let inode = try FileStatus(of: data).inode
            let finished = try recover(site, row, arguments)
            #expect(finished.ending == .exited(1), "\(arguments): \(finished)")
            #expect(finished.errors.contains("cannot restore into directory \"\(data)\""), "\(finished)")
            for words in row.says {
                #expect(finished.errors.contains(words.replacing("DATA", with: data)), "\(arguments): \(finished)")
            }
            #expect(try FileStatus(of: data).inode == inode)
            #expect(try Files.list(site.cluster.directory).allSatisfy { !$0.contains(".before-") })
            #expect(try site.cluster.psql("select sum(n) from t") == "3")
        }
    }

    @Test func `a dead server is told from one that can't be seen by its socket, or by the user`() throws {
        try #require(geteuid() == 0, "namespaces need root")
        let site = try Self.make()
        let data = site.cluster.data
        func kill() throws {
            let server = try #require(pid_t(Files.readText(data + "/postmaster.pid").split(separator: "\n")[0]))
            #expect(Glibc.kill(server, SIGKILL) == 0)
            try wait(for: "the server's processes to end") {
                try Glibc.kill(server, 0) != 0
                    && run("/usr/bin/find", ["/proc", "-maxdepth", "2", "-name", "cwd", "-lname", data]).output.isEmpty
            }
        }
        try kill()
        // Its socket refuses connections.
        let finished = try recover(site, HiddenServer.all[1], [])
        #expect(finished.ending == .exited(0), "\(finished)")
        try site.cluster.start()
        try site.cluster.wait(for: "the recovery's end") { try site.cluster.psql("select pg_is_in_recovery()") == "f" }
        try kill()
        let hidden = try #require(HiddenServer.all.first { $0.testDescription == "nothing is seen" })
        let refused = try recover(site, hidden, ["--delta"])
        #expect(refused.ending == .exited(1) && refused.errors.contains("A server may be running"), "\(refused)")
        // What the hint advises; postmaster.pid is there as long as the test's function needs it.
        let advised = HiddenServer(
            testDescription: "as advised", namespaces: hidden.namespaces,
            script: "\(hidden.script) && rm $DATA/postmaster.pid", says: [])
        let done = try recover(site, advised, ["--delta"])
        #expect(done.ending == .exited(0), "\(done)")
        try site.cluster.start()
        #expect(try site.cluster.psql("select sum(n) from t") == "3")
    }
}

import Glibc
import Platform
import Support
import Testing

/// Killing any command at any moment leaves the repository usable, and a retry succeeds.
@Suite(.serialized) struct KillTests {
    /// How many calls a command makes; it is executed for that.
    private static func calls(_ site: TestSite, _ arguments: [String]) throws -> Int {
        let traced = try site.tidemark(arguments, environment: ["TIDEMARK_FAULT": "trace"], expectSuccess: true)
        return traced.errors.split(separator: "\n").count { $0.hasPrefix("trace: ") }
    }

    /// Runs `tidemark`, which is killed instead of its call of that number; returns whether it had ended before.
    private static func run(_ site: TestSite, _ arguments: [String], killedAtCall number: Int) throws -> Bool {
        let finished = try site.tidemark(arguments, environment: ["TIDEMARK_FAULT": "any:\(number)=kill"])
        let isKilled = [.signalled(SIGKILL), .exited(137)].contains(finished.ending)
        #expect(isKilled || finished.ending == .exited(0), "call \(number): \(finished)")
        return !isKilled
    }

    @Test func `a killed backup is never listed, and the next one succeeds`() throws {
        let site = try TestSite(settings: ["wal_keep_size": "'256MB'"], initdb: ["--data-checksums"])
        try site.cluster.psql(
            "create table t as select n, repeat(md5(n::text), 20) as filler from generate_series(1, 30000) n")
        let calls = try Self.calls(site, ["backup"])
        let seed = UInt64(Clock.now)
        var generator = SeededGenerator(seed: seed)
        var complete = 1
        for _ in 0..<8 {
            let call = Int.random(in: 1...calls, using: &generator)
            if try Self.run(site, ["backup"], killedAtCall: call) { complete += 1 }
            // Several waiting segments are stored at the same time, one before another: a gap for a moment.
            try site.cluster.waitForArchiver()
            // A backup that was killed after its last write is complete.
            let listed = try site.tidemark(["list", "--json"], expectSuccess: true).output
            #expect(
                listed.split(separator: "\n").count { $0.contains("\"label\"") } >= complete, "seed \(seed): \(listed)")
        }
        let verified = try site.tidemark(["verify"])
        #expect(verified.ending == .exited(0), "\(verified.output)\(verified.errors)")
        // The name contains the second in which it started.
        try site.tidemark(["backup"], expectSuccess: true)
        try site.archiveEverything()
        let target = site.scratch.file("recovered")
        try site.tidemark(["recover", "--target", "latest", "--data-directory", target, "--yes"], expectSuccess: true)
        let accepted = try runAsServerUser(
            site.cluster.server.bin + "/pg_verifybackup", ["-n", target], expectSuccess: false)
        #expect(accepted.ending == .exited(0), "\(accepted.errors)")
    }

    @Test func `a killed verification can be repeated, and never makes damage look good`() throws {
        let site = try TestSite(initdb: ["--data-checksums"])
        try site.cluster.psql("create table t as select n, repeat(md5(n::text), 20) from generate_series(1, 30000) n")
        try site.tidemark(["backup", "--jobs", "2"], expectSuccess: true)
        let traced = try site.tidemark(
            ["verify", "--jobs", "1"], environment: ["TIDEMARK_FAULT": "trace"], expectSuccess: true)
        let calls = traced.errors.split(separator: "\n").filter { $0.hasPrefix("trace: ") }
        try #require(calls.count > 50)
        func kill(at fault: String) throws {
            let killed = try site.tidemark(["verify", "--jobs", "1"], environment: ["TIDEMARK_FAULT": "\(fault)=kill"])
            #expect([.signalled(SIGKILL), .exited(137)].contains(killed.ending), "\(fault): \(killed.errors)")
        }
        let folder = try #require(try Files.list(site.repository + "/main").first)
        let packs = site.repository + "/main/\(folder)/pack"
        let label = try #require(try Files.list(packs).first)
        let list = { try site.tidemark(["list", "--json"], expectSuccess: true).output }
        let before = try list()

        // Before it records the last of the packs.
        let memory = try site.learned() + "/verify/\(folder)-\(label)"
        let writes = calls.filter { $0.hasPrefix("trace: write ") }
        let second = try #require(writes.lastIndex { $0.hasSuffix(memory) })
        try kill(at: "write:\(second + 1)")
        #expect(try list() == before)
        #expect(try Files.exists(memory))
        let resumed = try site.tidemark(["verify"], expectSuccess: true)
        let count = try Files.list(packs + "/\(label)").count { $0.utf8.count == 6 }
        let found = /; \d+ of (\d+) packs (was|were) found good before an interruption/
        #expect(resumed.output.firstMatch(of: found).map { "\($0.1)" } == "\(count)", "\(resumed.output)")
        #expect(try !Files.exists(memory))

        let pack = packs + "/\(label)/000001"
        let file = try Descriptor(open: pack, O_RDWR)
        try [UInt8](repeating: 0xA5, count: 4).withUnsafeBytes { try file.write($0, at: 5000, path: pack) }
        // A damaged pack takes all the calls, each time.
        for call in stride(from: 1, to: calls.count / 2, by: calls.count / 20) { try kill(at: "any:\(call)") }
        let damaged = try site.tidemark(["verify"])
        #expect(damaged.ending == .exited(3) && damaged.errors.contains("is damaged"), "\(damaged.errors)")
    }

    @Test func `a killed recovery can be repeated`() throws {
        let site = try TestSite()
        try site.cluster.psql(
            "create table t as select n, repeat(md5(n::text), 20) as filler from generate_series(1, 30000) n")
        try site.tidemark(["backup"], expectSuccess: true)
        try site.cluster.psql("insert into t select n, 'later' from generate_series(1, 10) n")
        try site.archiveEverything()
        let target = site.scratch.file("recovered")
        let arguments = ["recover", "--target", "latest", "--data-directory", target, "--yes"]
        let calls = try Self.calls(site, arguments)
        try Files.removeTree(target)
        let seed = UInt64(Clock.now)
        var generator = SeededGenerator(seed: seed)
        var isDone = false
        for _ in 0..<8 where !isDone {
            isDone = try Self.run(site, arguments, killedAtCall: Int.random(in: 1...calls, using: &generator))
            // One that was killed after its last file continues differently; the next test covers that.
            if try !isDone && Files.exists(target + "/PG_VERSION") && !Files.exists(target + "/tidemark.restoring") {
                if try Self.isInterrupted(site) {
                    try site.tidemark(["recover", "--resume", "--data-directory", target], expectSuccess: true)
                }
                isDone = true
            }
        }
        if !isDone { try site.tidemark(arguments, expectSuccess: true) }
        // Once it is done, a further recovery must not touch the directory.
        let again = try site.tidemark(arguments)
        #expect(again.ending == .exited(1), "seed \(seed): \(again)")
        #expect(again.errors.contains("HINT:"), "seed \(seed): \(again)")
        let server = try ScratchServer(target, like: site.cluster)
        #expect(try server.psql("select count(*) from t") == "30010")
    }

    /// Whether the site's state knows of a recovery that has not ended.
    private static func isInterrupted(_ site: TestSite) throws -> Bool {
        try Files.listIfPresent(site.scratch.file("state/main/recover")).contains { $0.hasSuffix(".json") }
    }

    /// From then on the directory is a cluster, which must not be overwritten: the same command is refused, and offers
    /// a way to continue.
    @Test func `a recovery killed at any call after it has restored everything is continued by the offered command`()
        throws
    {
        let site = try TestSite()
        try site.cluster.psql("create table t as select n from generate_series(1, 100) n")
        try site.tidemark(["backup"], expectSuccess: true)
        try site.archiveEverything()
        let target = site.scratch.file("it's-recovered")
        let arguments = ["recover", "--target", "latest", "--data-directory", target, "--yes"]
        let traced = try site.tidemark(arguments, environment: ["TIDEMARK_FAULT": "trace"], expectSuccess: true)
        let calls = traced.errors.split(separator: "\n").filter { $0.hasPrefix("trace: ") }.map { $0.dropFirst(7) }
        let end = try #require(calls.firstIndex { $0.hasPrefix("unlink ") && $0.hasSuffix("/tidemark.restoring") })
        var (refused, complete) = (0, 0)
        for (number, call) in calls.enumerated() {
            // Files whose names differ in every run can't be chosen.
            guard number > end, let space = call.firstIndex(of: " "), !call.contains(".tmp") else { continue }
            try Files.removeTree(target)
            let (kind, subject) = (call[...space], call[call.index(after: space)...])
            let seen = calls[...number].count { $0.hasPrefix(kind) && $0.dropFirst(kind.count).contains(subject) }
            let fault = "\(kind.dropLast()):\(subject)#\(seen)=kill"
            let killed = try site.tidemark(arguments, environment: ["TIDEMARK_FAULT": fault])
            let endings: [Finished.TerminationStatus] = [.signalled(SIGKILL), .exited(137), .exited(0)]
            #expect(endings.contains(killed.ending), "\(fault): \(killed.errors)")
            let again = try site.tidemark(arguments)
            // Calls differ between runs: the kill came before the end of the restore.
            if again.ending == .exited(0) { continue }
            #expect(again.ending == .exited(1), "\(fault): \(again.errors)")
            if try Self.isInterrupted(site) {
                refused += 1
                let offered = try #require(
                    again.errors.split(separator: "\"").first { $0.hasPrefix("tidemark recover --resume") })
                let resumed = try runAsServerUser(
                    "/bin/sh", ["-c", "exec \(try Executables.directory.get())/\(offered)"],
                    environment: ["TIDEMARK_CONFIG": site.configuration], expectSuccess: false)
                #expect(resumed.ending == .exited(0), "\(fault): \(resumed.errors)")
                #expect(try !Self.isInterrupted(site), "\(fault)")
            } else {
                complete += 1
                #expect(again.errors.contains("It is not empty."), "\(fault): \(again.errors)")
            }
        }
        #expect(refused > 2 && complete > 0, "\(refused) refused, \(complete) complete of \(calls.count - end)")
        // pg_ctl's options can't hold an apostrophe.
        let plain = site.scratch.file("recovered")
        try Files.rename(target, to: plain)
        let server = try ScratchServer(plain, like: site.cluster)
        #expect(try server.psql("select count(*) from t") == "100")
    }
}

/// A server on a recovered directory, stopped with the object.
final class ScratchServer {
    private let path: String
    private let bin: String

    init(_ path: String, like cluster: TestCluster) throws {
        self.path = path
        bin = cluster.server.bin
        try runAsServerUser(
            bin + "/pg_ctl",
            [
                "-D", path, "-l", path + ".log", "-w", "-t", "300", "-o",
                "-c unix_socket_directories=\(path) -c port=5433", "start",
            ])
    }

    deinit { _ = try? runAsServerUser(bin + "/pg_ctl", ["-D", path, "-m", "immediate", "-w", "stop"]) }

    func psql(_ sql: String) throws -> String {
        // pg_ctl returns when a hot standby accepts queries; the end of recovery may be a moment away.
        try wait(for: "the end of recovery") { try ask("select pg_is_in_recovery()") == "f" }
        return try ask(sql)
    }

    private func ask(_ sql: String) throws -> String {
        let finished = try runAsServerUser(
            bin + "/psql", ["-h", path, "-p", "5433", "-U", "postgres", "-d", "postgres", "-XAtqc", sql])
        return finished.output.split(separator: "\n").joined(separator: "\n")
    }
}

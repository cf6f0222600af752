import FoundationEssentials
import Glibc
import Platform
import Support
import Synchronization
import Testing
import WAL

/// The copy of a standby is consistent at its pg_control's minimum recovery point, which advances while the standby
/// replays.
@Suite(.serialized) struct StandbyConsistencyTests {
    /// A primary that archives, and its standby, with a configuration for backups of the standby.
    private final class Pair {
        let site: TestSite
        let standby: String
        let configuration: String
        private var bin: String { site.cluster.server.bin }

        init(_ server: TestServer) throws {
            site = try TestSite(server, settings: ["max_wal_size": "'32MB'"], initdb: ["--wal-segsize=1"])
            standby = site.scratch.file("standby")
            configuration = site.scratch.file("standby.conf")
            let text = try Files.readText(site.configuration)
                .replacing("'\(site.scratch.file("state"))'", with: "'\(site.scratch.file("standby-state"))'")
                .replacing("'\(site.cluster.data)'", with: "'\(standby)'")
                .replacing("'\(site.cluster.conninfo)'", with: "'host=\(standby) user=postgres dbname=postgres'")
            try createDurably(configuration, bytes: Array(text.utf8), mode: 0o644)
            try site.cluster.psql("create table t as select n from generate_series(1, 3000) n")
            try site.cluster.startStandby(at: standby)
        }

        deinit {
            site.cluster.stopStandby(at: standby)
        }

        func onStandby(_ sql: String) throws -> String {
            try runAsServerUser(
                bin + "/psql", ["-h", standby, "-U", "postgres", "-d", "postgres", "-XAtqc", sql]
            ).output.filter { !$0.isWhitespace }
        }

        /// Advances the standby's minimum recovery point past transactions.
        func moveOn() throws {
            let before = try minimum()
            for _ in 1...20 { try site.cluster.psql("insert into t values (0)") }
            try site.cluster.psql("checkpoint")
            for _ in 1...20 { try site.cluster.psql("insert into t values (0)") }
            let written = try site.cluster.psql("select pg_current_wal_lsn()")
            try wait(for: "the standby") { try onStandby("select pg_last_wal_replay_lsn() >= '\(written)'") == "t" }
            _ = try onStandby("checkpoint")
            let after = try minimum()
            guard try onStandby("select '\(after)'::pg_lsn > '\(before)'::pg_lsn") == "t" else {
                throw Problem("the minimum recovery point stayed at \(before)")
            }
        }

        private func minimum() throws -> String {
            try onStandby("select min_recovery_end_lsn from pg_control_recovery()")
        }

        /// A backup of the standby beside a primary that ends its segments.
        func backUp(environment: [String: String] = [:], meanwhile: () throws -> Void = {}) throws -> Finished {
            let isDone = Atomic<Bool>(false)
            let cluster = site.cluster
            let primary = try Worker {
                while !isDone.load(ordering: .relaxed) {
                    _ = try? cluster.psql("insert into t values (0); select pg_switch_wal()")
                    Clock.sleep(milliseconds: 200)
                }
            }
            defer { primary.join() }
            defer { isDone.store(true, ordering: .relaxed) }
            let finished = Mutex<Finished?>(nil)
            let (configuration, program) = (configuration, try Executables.tidemark())
            let backup = try Worker {
                let result = try? runAsServerUser(
                    program, ["backup", "--jobs", "1", "--config", configuration], environment: environment,
                    expectSuccess: false)
                finished.withLock { $0 = result }
            }
            let outcome = Result { try meanwhile() }
            backup.join()
            try outcome.get()
            return try #require(finished.withLock { $0 })
        }
    }

    private struct Shown: Decodable {
        let stopLsn: String
        let lastWal: String
    }

    /// Held at the last open of pg_control, the minimum recovery point advances after the last page was copied; held
    /// before the end of pg_control is read, between pg_control and pg_backup_stop.
    @Test(arguments: [(TestServer.v15, "open"), (.v16, "read"), (.v18, "open"), (.v18, "read")])
    func `a standby's minimum recovery point that moves on at the end is the backup's, and its WAL is waited for`(
        _ server: TestServer, call: String
    ) throws {
        let pair = try Pair(server)
        let site = pair.site
        let traced = try pair.backUp(environment: ["TIDEMARK_FAULT": "trace"])
        try #require(traced.ending == .exited(0), "\(traced.errors)")
        let last = traced.errors.split(separator: "\n").count {
            $0.hasPrefix("trace: \(call) ") && $0.contains("global/pg_control")
        }
        let gate = try Gate(at: "\(call):global/pg_control#\(last)")
        let taken = try pair.backUp(environment: gate.environment) {
            defer { try? gate.open() }
            try gate.waitUntilReached()
            try pair.moveOn()
        }
        try #require(taken.ending == .exited(0), "\(taken.errors)")
        let label = try #require(try site.backupLabels().max())
        let decoder = JSONDecoder()
        decoder.keyDecodingStrategy = .convertFromSnakeCase
        let shown = try decoder.decode(
            Shown.self, from: Data(try site.tidemark(["show", label, "--json"], expectSuccess: true).output.utf8))
        let stored = try run("/usr/bin/find", [site.repository, "-name", shown.lastWal + ".zst"]).output
        #expect(!stored.isEmpty, "\(shown)")

        try site.archiveEverything()
        let copy = site.scratch.file("copy")
        let recovered = try site.tidemark([
            "recover", "--target", "immediate", "--backup", label, "--data-directory", copy, "--start", "--yes",
        ])
        defer {
            _ = try? runAsServerUser(
                server.bin + "/pg_ctl", ["-D", copy, "-m", "immediate", "-w", "stop"], expectSuccess: false)
        }
        #expect(recovered.ending == .exited(0), "\(recovered.errors)")
        #expect(recovered.output.contains("As predicted"), "\(recovered.output)")
        let log = try Files.readText(copy + "/tidemark-recovery.log")
        let reached = log.split(separator: "\n").first { $0.contains("consistent recovery state reached at ") }
        let consistent = reached?.split(separator: " ").last.flatMap { LSN(String($0)) }
        #expect(consistent != nil && consistent == LSN(shown.stopLsn), "\(shown) \(log)")
    }
}

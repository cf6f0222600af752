import FoundationEssentials
import Platform
import Support
import Testing
import WAL

/// A backup waits for the segment with its end while its timeline is left: that segment comes as the first one of the
/// next timeline, or never.
@Suite struct LeftWhileWaitingServerTests {
    enum Case: String, CaseIterable, Sendable {
        /// The standby that is backed up is promoted.
        case standby
        /// The same, and it archives always.
        case always
        /// Another standby is promoted, and the one that is backed up follows it.
        case cascade
        /// It is promoted, stopped and promoted again before anything of the second timeline is archived.
        case twice
        /// The backup is the primary's, which dies before it can archive. A standby that archives always has all the
        /// WAL, but not the backup history file.
        case primary
    }

    private struct Shown: Decodable {
        let timeline: Int
        let stopLsn: String
        let lastWal: String
    }

    /// Holds a backup of `server` where it looks for its WAL first, behind pg_backup_stop.
    private func backUp(
        _ server: Server, in group: ServerGroup, at call: String = "stat:/wal/0000", meanwhile: () throws -> Void
    ) throws -> (gone: Bool, said: String) {
        let gate = try Gate(at: call)
        let backup = try BackgroundProcess(
            "\(Executables.tidemark()) backup --pin --config '\(server.configuration)'", name: "backup",
            in: group.directory, environment: gate.environment)
        defer { backup.end() }
        try gate.waitUntilReached()
        try meanwhile()
        try gate.open()
        try group.wait(seconds: 120, for: "the backup to end") { !backup.isRunning }
        let said = try Files.readText(backup.log)
        return (said.contains("ERROR"), said)
    }

    private func fill(_ server: Server) throws {
        for _ in 0..<2 { try server.psql("insert into t values (7)", "select pg_switch_wal()") }
    }

    @Test(arguments: TestServer.ends, Case.allCases)
    func `a backup whose timeline is left while it waits is completed by the next one`(
        _ version: TestServer, _ which: Case
    ) throws {
        let group = try ServerGroup(version)
        try group.accounted {
            let a = try group.addPrimary()
            try a.psql("create table t (i int)")
            let mode = [.always, .primary].contains(which) ? "always" : "on"
            let b = try group.addStandby("b", of: a, settings: ["archive_mode": mode])
            let c = which == .cascade ? try group.addStandby("c", of: b) : nil
            try a.psql("insert into t values (1)", "select pg_switch_wal()")
            try group.drain(a)
            try a.psql("checkpoint", "insert into t values (2)")
            for standby in [b, c].compactMap({ $0 }) {
                try group.catchUp(standby, with: a)
                try standby.psql("checkpoint")
            }
            if which == .primary {
                try a.psql("alter system set archive_command = 'false'", "select pg_reload_conf()")
                try group.wait(for: "archiving to be off") { try a.psql("show archive_command") == "false" }
            }
            let source = which == .primary ? a : c ?? b
            let (gone, said) = try backUp(source, in: group) {
                group.step("the backup waits")
                try a.psql("insert into t values (3)")
                try group.catchUp(b, with: a)
                try a.stop("immediate")
                try b.promote()
                if which == .twice {
                    try b.stop()
                    try b.shell("touch '\(b.data)/standby.signal'")
                    try b.start()
                    try b.promote()
                }
                group.step("the next timeline is archived")
                try fill(b)
                try group.drain(b)
            }
            #expect(!gone, "\(said)")
            let label = try b.tidemark(["list", "--json"], expectSuccess: true)
                .output.firstMatch(of: /\d{8}T\d{6}Z-full/).map { String($0.output) }
            let shown = try JSONDecoder().shown(
                Shown.self, try b.tidemark(["show", #require(label), "--json"], expectSuccess: true).output)
            let archived = try group.archived()
            #expect(archived.contains(shown.lastWal), "\(shown)")
            let own = "00000001" + shown.lastWal.dropFirst(8)
            #expect(
                shown.timeline == 1 && archived.contains(own) == (which == .primary),
                "the case is not met: \(shown) \(archived)")

            group.step("what the commands say")
            for command in [
                ["verify"], ["verify", "--wal"], ["verify", try #require(label)], ["segments"], ["window"], ["list"],
                ["plan", "--target", "latest"], ["expire", "--dry-run"],
                ["check", "--only", "recovery_window", "--only", "wal_continuity", "--only", "rpo"],
            ] {
                let told = try b.tidemark(command)
                #expect(told.ending == .exited(0), "\(command): \(told)")
                #expect(!(told.output + told.errors).contains("never consistent"), "\(command): \(told)")
            }
            let status = try b.tidemark(["status"]).output
            #expect(status.contains("I would lose      nothing"), "\(status)")
            for target in [["--target", "latest"], ["--target", "immediate"]] {
                let copy = RecoveredCopy(group)
                let outcome = try copy.recover(b, target)
                #expect(outcome.asPredicted == true, "\(target): \(outcome)")
                let rows = try copy.psql("select string_agg(i::text, ',' order by i) from t")
                #expect(rows.hasPrefix(target[1] == "latest" ? "1,2,3,7,7" : "1,2"), "\(target): \(rows)")
            }

            group.step("its pin keeps its own WAL")
            try fill(b)
            try group.drain(b)
            try b.tidemark(["backup"], expectSuccess: true)
            try b.tidemark(["expire", "--keep-full", "1"], expectSuccess: true)
            try b.tidemark(["verify"], expectSuccess: true)
            #expect(try group.archived().contains(shown.lastWal))
        }
    }

    @Test(arguments: TestServer.ends)
    func `a promoted standby that nobody writes to completes its backup`(_ version: TestServer) throws {
        let group = try ServerGroup(version)
        try group.accounted {
            let (a, b) = try group.addBackedUpPair()
            try a.psql("insert into t values (1)")
            try group.catchUp(b, with: a)
            let (gone, said) = try backUp(b, in: group) {
                try a.stop("immediate")
                try b.promote()
            }
            #expect(!gone, "\(said)")
            let backups = try b.tidemark(["list", "--json"], expectSuccess: true).output
            #expect(backups.matches(of: /Z-full"/).count == 2, "\(backups)")
        }
    }

    /// The server has gone back to where another one left the timeline; what the backup needs was never archived.
    @Test(arguments: TestServer.ends)
    func `a backup whose end was taken back ends at once`(_ version: TestServer) throws {
        let group = try ServerGroup(version)
        try group.accounted {
            let a = try group.addBackedUpPrimary()
            let b = try group.addStandby("b", of: a)
            try group.catchUp(b, with: a)
            try a.psql("alter system set archive_command = 'false'", "select pg_reload_conf()")
            try b.stop()
            try a.psql("insert into t values (1)")
            let (gone, said) = try backUp(a, in: group) {
                try a.stop()
                try b.follow(nil)
                try b.start()
                try b.promote()
                try fill(b)
                try b.psql("checkpoint")
                try a.tool(
                    "pg_rewind",
                    [
                        "--target-pgdata=\(a.data)", "--source-server=\(b.conninfo)", "--no-sync",
                        "--config-file=\(a.serverConfiguration)",
                    ])
                try a.follow(b)
                try a.start()
                try group.catchUp(a, with: b)
            }
            #expect(gone && said.contains("its WAL was taken back"), "\(said)")
            #expect(said.contains("timeline 2 now, which left timeline 1 at LSN \(try b.fork())"), "\(said)")
            #expect(try b.tidemark(["list", "--json"], expectSuccess: true).output.matches(of: /Z-full"/).count == 1)
        }
    }

    @Test(arguments: TestServer.ends)
    func `a standby that is promoted before its backup ends has none`(_ version: TestServer) throws {
        let group = try ServerGroup(version)
        try group.accounted {
            let (a, b) = try group.addBackedUpPair()
            let (gone, said) = try backUp(b, in: group, at: "open:/base/1/PG_VERSION") {
                try a.stop()
                try b.promote()
            }
            #expect(gone && said.contains("the standby was promoted before its backup ended"), "\(said)")
            #expect(said.contains("Take the backup again"), "\(said)")
        }
    }
}

extension JSONDecoder {
    fileprivate func shown<Value: Decodable>(_ type: Value.Type, _ text: String) throws -> Value {
        keyDecodingStrategy = .convertFromSnakeCase
        return try decode(type, from: Data(text.utf8))
    }
}

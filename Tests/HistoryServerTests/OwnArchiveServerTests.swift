import Glibc
import Platform
import Support
import Testing

/// A standby with `archive_mode = always` and a repository of its own, besides the shared one.
@Suite struct OwnArchiveServerTests {
    private func standbyWithItsOwn(
        of primary: Server, in group: ServerGroup, mode: String = "always"
    ) throws -> Server {
        let standby = try group.addStandby(
            "c", of: primary, settings: ["archive_mode": mode, "restore_command": "''"])
        let configuration = try Files.readText(standby.configuration)
            .replacing("'\(group.directory)/repository'", with: "'\(group.directory)/own'")
        try replaceDurably(standby.configuration, bytes: Array(configuration.utf8), mode: 0o644)
        let made = try standby.tidemark(["init"])
        try #require([.exited(0), .exited(3)].contains(made.ending), "\(made)")
        return standby
    }

    /// Without a checkpoint the standby can't make a restartpoint, and its backup begins in WAL that was copied with
    /// it.
    private func backUp(_ standby: Server, whileWriting primary: Server, in group: ServerGroup) throws {
        group.step("back up the standby while the primary goes on")
        let backup = try BackgroundProcess(
            "\(Executables.tidemark()) backup --config '\(standby.configuration)'", name: "backup", in: group.directory)
        defer { backup.end() }
        try group.wait(for: "the backup to end") {
            try primary.psql("insert into t values (0)", "select pg_switch_wal()")
            return !backup.isRunning
        }
        #expect(try standby.tidemark(["plan", "--target", "latest"]).ending == .exited(0))
    }

    @Test(arguments: TestServer.allCases)
    func `a standby made on a later timeline backs up into its own archive`(_ server: TestServer) throws {
        let group = try ServerGroup(server)
        try group.accounted {
            let a = try group.addPrimary()
            try a.psql("create table t (i int)")
            let b = try group.addStandby("b", of: a)
            try group.catchUp(b, with: a)
            try a.stop()
            try b.promote()
            let c = try standbyWithItsOwn(of: b, in: group)
            try backUp(c, whileWriting: b, in: group)
            for command in [["verify", "--wal"], ["check", "--only", "timelines", "--only", "wal_continuity"]] {
                let told = try c.tidemark(command)
                #expect(told.ending == .exited(0), "\(command): \(told)")
            }
            try c.promote()
            try c.psql("insert into t values (1)", "select pg_switch_wal()")
            try group.drain(c)
            let rows = try c.psql("select count(*), sum(i) from t")
            let copy = RecoveredCopy(group)
            try copy.recover(c, ["--target", "latest"])
            #expect(try copy.psql("select count(*), sum(i) from t") == rows)
        }
    }

    /// Its restore_command asks an archive that has no place for the cluster yet, which ends its start.
    @Test(arguments: TestServer.ends)
    func `a standby's own archive is initialised before the standby can start`(_ server: TestServer) throws {
        let group = try ServerGroup(server)
        try group.accounted {
            let a = try group.addPrimary()
            try a.psql("create table t (i int)")
            let c = try group.addStandby("c", of: a, settings: ["archive_mode": "always"])
            try c.stop()
            let configuration = try Files.readText(c.configuration)
                .replacing("'\(group.directory)/repository'", with: "'\(group.directory)/own'")
                .replacing("[cluster main]", with: "get_retry_timeout = '1s'\n[cluster main]")
            try replaceDurably(c.configuration, bytes: Array(configuration.utf8), mode: 0o644)
            let set = try c.tidemark(["init", "--write"])
            #expect(set.ending == .exited(1), "\(set)")
            let made = try c.tidemark(["init"])
            #expect(made.ending == .exited(3), "\(made)")
            #expect(made.output.contains("The server does not accept connections"), "\(made)")
            let offer = try #require(made.output.firstMatch(of: /run "tidemark ([^"]+)" again/), "\(made)")
            let again = offer.output.1.split(separator: " ").map(String.init)
            let json = try c.tidemark(["init", "--json"])
            #expect(json.ending == .exited(3) && json.output.contains("\"created\" : false"), "\(json)")
            try c.start()
            #expect(try c.tidemark(again).ending == .exited(0))
            try a.psql("insert into t values (1)", "select pg_switch_wal()")
            try group.catchUp(c, with: a)
            try group.drain(c)
        }
    }

    @Test func `a standby that archives nothing into its own archive is told by check`() throws {
        let group = try ServerGroup(.v15)
        try group.accounted {
            let a = try group.addPrimary()
            try a.psql("create table t (i int)")
            // Beside it one that shares the primary's archive, and is well.
            let b = try group.addStandby("b", of: a)
            let c = try standbyWithItsOwn(of: a, in: group, mode: "on")
            for row in 1...5 { try a.psql("insert into t values (\(row))", "select pg_switch_wal()") }
            for standby in [b, c] { try group.catchUp(standby, with: a) }
            try group.drain(a)
            let told = try c.tidemark(["check", "--only", "archiving"])
            #expect(told.ending == .exited(3), "\(told)")
            #expect(told.output.contains("archives nothing until it is promoted (archive_mode = on)"), "\(told)")
            #expect(told.output.contains("set archive_mode = always"), "\(told)")
            let other = try b.tidemark(["check", "--only", "archiving"])
            #expect(other.ending == .exited(0), "\(other)")
        }
    }

    @Test(arguments: TestServer.allCases)
    func `a standby's own archive follows another's promotion, and its own`(_ server: TestServer) throws {
        let group = try ServerGroup(server)
        try group.accounted {
            let a = try group.addPrimary()
            try a.psql("create table t (i int)")
            let b = try group.addStandby("b", of: a)
            let c = try standbyWithItsOwn(of: a, in: group)
            try backUp(c, whileWriting: a, in: group)
            func write(_ primary: Server, _ rows: ClosedRange<Int>, readBy standbys: [Server]) throws {
                for row in rows { try primary.psql("insert into t values (\(row))", "select pg_switch_wal()") }
                for standby in standbys { try group.catchUp(standby, with: primary) }
                try group.drain(c)
            }
            func expectWhole(_ step: String) throws {
                group.step(step)
                let checks = ["wal_continuity", "timelines", "rpo", "recovery_window"].flatMap { ["--only", $0] }
                for command in [
                    ["segments"], ["verify", "--wal"], ["plan", "--target", "latest"], ["check"] + checks,
                ] {
                    let told = try c.tidemark(command)
                    #expect(told.ending == .exited(0), "\(step), \(command): \(told)")
                }
            }
            try write(a, 1...2, readBy: [b, c])
            try expectWhole("before any promotion")
            try a.kill()
            try b.promote()
            try c.follow(b)
            try c.reload()
            try write(b, 3...4, readBy: [c])
            try expectWhole("after another's promotion")
            try b.stop()
            try c.promote()
            try write(c, 5...6, readBy: [])
            try expectWhole("after its own promotion")
            let rows = try c.psql("select count(*), sum(i) from t")
            let copy = RecoveredCopy(group)
            try copy.recover(c, ["--target", "latest"])
            #expect(try copy.psql("select count(*), sum(i) from t") == rows)
        }
    }
}

import Glibc
import Platform
import Support
import Testing

/// A standby with `archive_mode = always` and a repository of its own, beside the one that the others share.
@Suite struct OwnArchiveServerTests {
    @Test(arguments: TestServer.ends)
    func `a standby's own archive follows another's promotion, and its own`(_ server: TestServer) throws {
        let group = try ServerGroup(server)
        try group.accounted {
            let a = try group.addPrimary()
            try a.psql("create table t (i int)")
            let b = try group.addStandby("b", of: a)
            let c = try group.addStandby(
                "c", of: a, settings: ["archive_mode": "always", "restore_command": "''"])
            let own = "\(group.directory)/own"
            let configuration = try Files.readText(c.configuration)
                .replacing("'\(group.directory)/repository'", with: "'\(own)'")
            try replaceDurably(c.configuration, bytes: Array(configuration.utf8), mode: 0o644)
            let made = try c.tidemark(["init"])
            try #require([.exited(0), .exited(3)].contains(made.ending), "\(made)")

            group.step("back up the standby while the primary goes on")
            let backup = try BackgroundProcess(
                "\(Executables.tidemark()) backup --config '\(c.configuration)'", name: "backup", in: group.directory)
            defer { backup.end() }
            try group.wait(for: "the backup to end") {
                try a.psql("insert into t values (0)", "select pg_switch_wal()", "checkpoint")
                return !backup.isRunning
            }
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

import Glibc
import Platform
import Support
import Testing

/// `segments put-aside` and `put-back` where several servers share an archive: which server may move what.
@Suite struct PutAsidePairsServerTests {
    private func fill(_ primary: Server, segments: Int) throws {
        for _ in 0..<segments { try primary.psql("insert into t values (2)", "select pg_switch_wal()") }
    }

    /// The history of timeline 2 in the archive is a dead server's. The living one branched off timeline 1 earlier, and
    /// has begun another timeline since.
    @Test(
        arguments: getenv("TIDEMARK_SOAK") == nil
            ? [(TestServer.v15, true), (.v16, false), (.v18, true)]
            : TestServer.allCases.flatMap { [($0, false), ($0, true)] })
    func `a stray history of a number that the server's own history has as well gives way`(
        _ server: TestServer, isFurther: Bool
    ) throws {
        let group = try ServerGroup(server)
        try group.accounted {
            let a = try group.addPrimary()
            try a.psql("create table t (i int)")
            let b = try group.addStandby("b", of: a)
            // It must not follow what the archive has.
            let c = try group.addStandby("c", of: a, settings: ["restore_command": "''"])
            try group.catchUp(c, with: a)
            group.step("promote b further on than c, and let it archive")
            try c.stop()
            try a.psql("insert into t select generate_series(1, 50)")
            try group.catchUp(b, with: a)
            try a.stop("immediate")
            try b.promote()
            try fill(b, segments: isFurther ? 2 : 5)
            try group.drain(b)
            try b.stop("immediate")
            group.step("promote c")
            try c.follow(nil)
            try c.start()
            try c.promote()
            try fill(c, segments: 2)
            if isFurther {
                group.step("c is promoted again")
                try c.stop()
                try c.shell("touch '\(c.data)/standby.signal'")
                try c.start()
                try c.promote()
                try fill(c, segments: 2)
            }
            try group.wait(for: "the history to be refused") {
                try c.psql("select last_failed_wal = '00000002.history' from pg_stat_archiver") == "t"
            }
            if isFurther {
                // As another server's archiver may do: it descends from c's timeline 2, not from the archived one.
                try c.tidemark(["archive-push", "\(c.data)/pg_wal/00000003.history"], expectSuccess: true)
            }
            group.step("put the stray timeline aside")
            try c.tidemark(["segments", "put-aside", "2", "--yes"], expectSuccess: true)
            try group.drain(c)
            #expect(try group.archived().contains("00000002.history"))
            // Now the archived one is c's own.
            let own = try c.tidemark(["segments", "put-aside", "2", "--yes"])
            #expect(own.ending == .exited(1) && own.errors.contains("it is needed"), "\(own)")
            // The place of the stray one is taken.
            let back = try c.tidemark(["segments", "put-back", "2", "--yes"])
            #expect(back.ending == .exited(1) && back.errors.contains("other WAL has been archived"), "\(back)")
            try c.tidemark(["backup"], expectSuccess: true)
            try c.tidemark(["plan", "--target", "latest"], expectSuccess: true)
            guard !isFurther else { return }
            group.step("b goes on, some segments further than c")
            try b.start()
            try fill(b, segments: 2)
            try group.wait(for: "b's segments to be refused") {
                try b.psql("select last_failed_wal > '00000002' from pg_stat_archiver") == "t"
            }
            try b.stop("immediate")
            try fill(c, segments: 6)
            try group.drain(c)
            try c.tidemark(["plan", "--target", "latest"], expectSuccess: true)
        }
    }

    @Test(arguments: TestServer.ends)
    func `only the living primary's host takes a timeline away, and put-back brings it back`(
        _ server: TestServer
    ) throws {
        let group = try ServerGroup(server)
        try group.accounted {
            let (a, b) = try group.addBackedUpPair()
            try a.stop("immediate")
            try b.promote()
            let c = try group.addStandby("c", of: b)
            try fill(b, segments: 3)
            try group.drain(b)
            let before = try group.archived()
            let name = ["segments", "put-aside", "2", "--yes"]
            func expectRefused(_ server: Server, _ words: String, _ arguments: [String]) throws {
                let refused = try server.tidemark(arguments)
                #expect(refused.ending == .exited(1) && refused.errors.contains(words), "\(server.name): \(refused)")
                #expect(try group.archived() == before)
            }
            group.step("ask on the dead primary's host, then on a standby's")
            try expectRefused(a, "cannot tell whether \"00000002.history\" is needed", name)
            // A crash leaves this file, and after a reboot its process ID is another process's.
            let pid = try #require(b.postmaster)
            try a.shell("printf '\(pid)\\n\(a.data)\\n' > '\(a.data)/postmaster.pid'")
            try expectRefused(a, "add --certain", name)
            try a.shell("rm '\(a.data)/postmaster.pid'")
            try expectRefused(c, "cannot tell whether", name)
            group.step("ask on the living primary's host")
            try expectRefused(b, "is on timeline 2", name)
            try expectRefused(b, "is on timeline 2", name + ["--certain"])
            try expectRefused(
                b, "which descends from timeline 1", ["segments", "put-aside", "1", "--yes", "--certain"])

            group.step("take it away all the same, and bring it back")
            try a.tidemark(name + ["--certain"], expectSuccess: true)
            #expect(try !group.archived().contains("00000002.history"))
            // The server doesn't know of it: what it archives meanwhile comes back with the rest.
            try fill(b, segments: 2)
            try group.drain(b)
            #expect(try !group.archived().contains { $0.hasPrefix("00000002") })
            let check = try b.tidemark(["check", "--only", "timelines"])
            #expect(check.ending == .exited(3) && check.output.contains("put-back 00000002.history"), "\(check)")
            try b.tidemark(["segments", "put-back", "00000002.history", "--dry-run"], expectSuccess: true)
            try b.tidemark(["segments", "put-back", "00000002.history", "--yes"], expectSuccess: true)
            let after = try group.archived()
            #expect(after.count == before.count + 2 && Set(after).isSuperset(of: before), "\(after)")
            let again = try b.tidemark(["segments", "put-back", "2", "--yes"])
            #expect(
                again.ending == .exited(1) && again.errors.contains("nothing is left of what was put aside"), "\(again)"
            )
            try b.tidemark(["backup"], expectSuccess: true)
            for command in [["segments"], ["verify", "--wal"], ["plan", "--target", "latest"]] {
                try b.tidemark(command, expectSuccess: true)
            }
        }
    }

    /// A copy of the server archived first, and is the one that lives on. Its WAL was put aside by mistake.
    @Test(arguments: TestServer.ends)
    func `check reports that the right server's WAL was put aside for another's, and the server gets it back`(
        _ server: TestServer
    ) throws {
        let group = try ServerGroup(server)
        try group.accounted {
            let a = try group.addBackedUpPrimary()
            try fill(a, segments: 1)
            try group.drain(a)
            let right = try group.addCopy("k", of: a)
            for row in [11, 12, 13] { try right.psql("insert into t values (\(row))", "select pg_switch_wal()") }
            try group.drain(right)
            let own = try right.psql("select string_agg(i::text, ',' order by i) from t")
            try a.psql("insert into t values (-1)")
            let first = try a.psql("select pg_walfile_name(pg_current_wal_lsn())")
            try fill(a, segments: 3)
            group.step("put the right one's aside, and archive the wrong one's")
            try a.tidemark(["segments", "put-aside", first, "--following", "--yes"], expectSuccess: true)
            try group.drain(a)
            try a.stop()

            group.step("the right one has nothing that waits")
            #expect(try right.waiting().isEmpty)
            let check = try right.tidemark(["check"])
            #expect(check.ending == .exited(3), "\(check)")
            #expect(check.output.contains("\"\(first)\" in the archive is not the one"), "\(check)")
            #expect(!check.output.contains("Every commit is in the repository"), "\(check)")
            let plan = try right.tidemark(["plan", "--target", "latest"])
            #expect("\(plan.output)\(plan.errors)".contains("is not the one that the server in"), "\(plan)")
            let offer = try #require(
                check.output.firstMatch(of: /tidemark (segments put-aside [^"]+)"/), "\(check)")
            try right.tidemark(
                offer.output.1.split(separator: " ").map(String.init) + ["--yes"], expectSuccess: true)

            group.step("it goes on, and its pg_wal no longer has what was put aside")
            try right.psql("insert into t values (14)", "select pg_switch_wal()")
            try group.drain(right)
            try right.shell("rm '\(right.data)/pg_wal/\(first)'")
            let gap = try right.tidemark(["check"])
            #expect(gap.output.contains("tidemark segments put-back \(first)"), "\(gap)")
            #expect(!gap.output.contains("take a backup now"), "\(gap)")
            try right.tidemark(["segments", "put-back", first, "--yes"], expectSuccess: true)
            let checks = ["timelines", "wal_continuity", "rpo"].flatMap { ["--only", $0] }
            for command in [["segments"], ["verify", "--wal"], ["check"] + checks] {
                try right.tidemark(command, expectSuccess: true)
            }
            let copy = RecoveredCopy(group)
            try copy.recover(right, ["--target", "latest"])
            #expect(try copy.psql("select string_agg(i::text, ',' order by i) from t") == own + ",14")
        }
    }

    /// A stray server was promoted twice and took a backup.
    @Test(arguments: TestServer.ends)
    func
        `strays that descend from one another go in the order that is offered, and their backups are not the cluster's`(
            _ server: TestServer
        ) throws
    {
        let group = try ServerGroup(server)
        try group.accounted {
            let a = try group.addBackedUpPrimary()
            let c = try group.addStandby("c", of: a)
            let d = try group.addStandby("d", of: a, settings: ["restore_command": "''"])
            try group.catchUp(c, with: a)
            try c.promote()
            try fill(c, segments: 2)
            try group.drain(c)
            try c.stop()
            try c.shell("touch '\(c.data)/standby.signal'")
            try c.start()
            try c.promote()
            try fill(c, segments: 2)
            try c.tidemark(["backup"], expectSuccess: true)
            try group.drain(c)
            try fill(a, segments: 2)
            try group.drain(a)
            try group.catchUp(d, with: a)

            let list = try a.tidemark(["list"], expectSuccess: true).output
            let labels = list.split(separator: "\n").compactMap { $0.firstMatch(of: /\d{8}T\d{6}Z-full/)?.output }
            try #require(labels.count == 2, "\(list)")
            let check = try a.tidemark(["check"])
            #expect(check.output.contains("The newest backup, \"\(labels[0])\""), "\(check)")
            let status = try a.tidemark(["status"]).output
            #expect(
                status.contains("1 backup; the newest, \"\(labels[0])\"") && status.contains("1 more backup is of"),
                "\(status)")
            let end = try #require(
                status.firstMatch(of: /Every moment from .* to (\S+ \S+) can be reached/), "\(status)")
            let plan = try a.tidemark(["plan", "--target", "latest"], expectSuccess: true).output
            let last = try #require(plan.firstMatch(of: /last included +transaction \d+, (\S+ [0-9:]+)/), "\(plan)")
            #expect(end.output.1.hasPrefix(last.output.1), "\(end.output.0) \(last.output.0)")
            func offered(by server: Server) -> String {
                ["00000003.history", "00000002.history"].map {
                    "tidemark segments put-aside \($0) --config \(server.configuration)"
                }.joined(separator: "; ")
            }
            #expect(plan.contains(offered(by: a)) && check.output.contains(offered(by: a)), "\(plan) \(check)")

            let behind = try d.tidemark(["check", "--only", "timelines"])
            #expect(behind.ending == .exited(3) && behind.output.contains("make it anew"), "\(behind)")
            // The path of this machine's configuration means nothing there.
            let there = try #require(
                behind.output.firstMatch(of: /on the primary's machine: (.*) \(nothing is deleted\)/)?.output.1,
                "\(behind)")
            let commands = there.split(separator: "; ").map { $0.split(separator: " ").map(String.init) }
            #expect(commands.map(\.last) == ["00000003.history", "00000002.history"], "\(behind)")
            for words in commands { try a.tidemark(words.dropFirst() + ["--yes"], expectSuccess: true) }
            try a.tidemark(["check", "--only", "timelines"], expectSuccess: true)
            try d.tidemark(["check", "--only", "timelines"], expectSuccess: true)
        }
    }
}

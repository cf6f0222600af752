import Platform
import Support
import Testing
import WAL

/// A server lives on from a timeline that was put aside: its archive needs that timeline again, and every message names
/// the command that brings it back.
@Suite struct PutAsideLivingServerTests {
    enum Way: String, CaseIterable, Sendable {
        /// Its data directory was recovered in place, to the timeline that was put aside.
        case recovered
        /// It was on the timeline when that was put aside, and is promoted again.
        case promotedAgain
    }

    private static let samples: [(TestServer, Way)] = [(.v15, .recovered), (.v18, .promotedAgain), (.v16, .recovered)]

    private func fill(_ server: Server) throws {
        for _ in 0..<2 { try server.psql("insert into t values (2)", "select pg_switch_wal()") }
    }

    @Test(arguments: samples)
    private func `a server that lives on from a timeline that was put aside gets the command that brings it back`(
        _ version: TestServer, _ way: Way
    ) throws {
        let group = try ServerGroup(version)
        try group.accounted {
            let (a, b) = try group.addBackedUpPair()
            try b.promote()
            try fill(b)
            try group.drain(b)
            group.step("a lives on timeline 1, and puts 2 aside")
            try a.psql("insert into t values (1)", "select pg_switch_wal()")
            try group.drain(a)
            let aside = try a.tidemark(["segments", "put-aside", "2", "--yes"], expectSuccess: true)
            #expect(aside.output.contains("put-back 00000002.history"), "\(aside)")
            let server: Server
            switch way {
            case .recovered:
                try b.stop("immediate")
                try a.stop()
                let recovered = try a.tidemark(
                    ["recover", "--target", "latest", "--target-timeline", "2", "--start", "--yes"]
                        + ["--set", "config_file=\(a.serverConfiguration)"], expectSuccess: true)
                #expect(
                    (recovered.output + recovered.errors).contains("\"tidemark segments put-back 00000002.history "),
                    "\(recovered)")
                server = a
            case .promotedAgain:
                try a.stop("immediate")
                try b.stop()
                try b.shell("touch '\(b.data)/standby.signal'")
                try b.start()
                try b.promote()
                server = b
            }
            let rows = try server.psql("select count(*) from t")
            try fill(server)
            try group.drain(server)
            #expect(try group.archived().contains("00000003.history"))
            #expect(try !group.archived().contains("00000002.history"))

            group.step("what is said")
            let command = "tidemark segments put-back 00000002.history --config \(server.configuration)"
            for check in ["wal_continuity", "rpo", "recovery_window"] {
                let said = try server.tidemark(["check", "--only", check])
                #expect(said.ending == .exited(3) && said.output.contains(command), "\(check): \(said)")
                #expect(!said.output.contains("still has"), "\(check): \(said)")
            }
            let segments = try server.tidemark(["segments"])
            #expect(segments.ending == .exited(3) && segments.output.contains(command), "\(segments)")
            #expect(!segments.output.contains("still has"), "\(segments)")
            let json = try server.tidemark(["segments", "--json"])
            #expect(json.output.contains("\"\(command)\"") && json.output.contains("\"at_server\" : false"), "\(json)")
            let plan = try server.tidemark(["plan", "--target", "latest"])
            #expect(plan.ending == .exited(4) && plan.errors.contains(command), "\(plan)")
            // Archiving doesn't bring it back, and doesn't report that it does.
            let own = try Files.list(server.data + "/pg_wal").filter { $0.hasPrefix("00000002") && $0.count == 24 }
            for name in own {
                let pushed = try server.tidemark(["archive-push", "\(server.data)/pg_wal/\(name)"])
                #expect(pushed.ending == .exited(0) && pushed.errors.contains(command), "\(name): \(pushed)")
                #expect(pushed.errors.contains("is part of the server's history"), "\(name): \(pushed)")
            }
            #expect(try !group.archived().contains { $0.hasPrefix("00000002") })

            group.step("bring it back")
            try server.tidemark(["segments", "put-back", "00000002.history", "--yes"], expectSuccess: true)
            for arguments in [["check", "--only", "wal_continuity"], ["segments"], ["verify", "--wal"]] {
                try server.tidemark(arguments, expectSuccess: true)
            }
            let copy = group.directory + "/copy"
            let recovered = try server.tidemark(
                ["recover", "--target", "latest", "--data-directory", copy, "--yes"], expectSuccess: true)
            #expect(!recovered.output.contains("was put aside"), "\(recovered)")
            let now = try server.psql("select count(*) from t")
            #expect(Int(now) == Int(rows).map { $0 + 2 })
            let needed = try server.tidemark(["segments", "put-aside", "2", "--yes"])
            #expect(needed.ending == .exited(1) && needed.errors.contains("it is needed"), "\(needed)")
        }
    }

    @Test(arguments: TestServer.ends)
    func `WAL of a timeline that was put aside goes there, too, and no backup waits for it`(
        _ version: TestServer
    ) throws {
        let group = try ServerGroup(version)
        try group.accounted {
            let (a, b) = try group.addBackedUpPair()
            try b.promote()
            try fill(b)
            try group.drain(b)
            try a.psql("insert into t values (1)", "select pg_switch_wal()")
            try group.drain(a)
            try a.tidemark(["segments", "put-aside", "2", "--yes"], expectSuccess: true)
            group.step("a standby of b, which is a base backup and its .backup file")
            let c = try group.addStandby("c", of: b, settings: ["archive_mode": "always"])
            try fill(b)
            try group.catchUp(c, with: b)
            try group.drain(b)
            try group.drain(c)
            func aside(_ suffix: String) throws -> Int {
                try run(
                    "/usr/bin/find", [Files.parent(group.wal), "-path", "*/aside/*/wal/00000002/*", "-name", suffix]
                ).output.split(separator: "\n").count
            }
            #expect(try !group.archived().contains { $0.hasPrefix("00000002") })
            #expect(try aside("*.backup.zst") == 1 && aside("*.zst") > 4)
            try a.tidemark(["check", "--only", "timelines"], expectSuccess: true)
            let backup = try b.tidemark(["backup"])
            #expect(backup.ending == .exited(1) && backup.errors.contains("segments put-back 00000002"), "\(backup)")
            #expect(try aside("*.backup.zst") == 1)

            group.step("b is the right one after all")
            try a.stop("immediate")
            try b.tidemark(["segments", "put-back", "2", "--yes"], expectSuccess: true)
            try b.tidemark(["backup"], expectSuccess: true)
            for arguments in [["check", "--only", "timelines"], ["verify", "--wal"], ["plan", "--target", "latest"]] {
                try b.tidemark(arguments, expectSuccess: true)
            }
        }
    }

    /// Another server's timeline of the same number was put aside; this one's own has not been archived yet.
    @Test func `a stray timeline that was put aside is not taken for the server's own of its number`() throws {
        let group = try ServerGroup(.v15)
        try group.accounted {
            let a = try group.addBackedUpPrimary()
            let b = try group.addStandby("b", of: a)
            let c = try group.addStandby("c", of: a, settings: ["restore_command": "''", "archive_command": "'false'"])
            try group.catchUp(b, with: a)
            try b.promote()
            try fill(b)
            try group.drain(b)
            try b.stop("immediate")
            try a.psql("insert into t values (1)")
            try a.tidemark(["segments", "put-aside", "2", "--yes"], expectSuccess: true)
            try group.catchUp(c, with: a)
            try a.stop("immediate")
            try c.promote()
            try fill(c)
            let said = try c.tidemark(["check", "--only", "timelines"])
            #expect(said.ending == .exited(0) && !said.output.contains("put-back"), "\(said)")
            c.settings["archive_command"] = nil
            try c.writeSettings()
            try c.reload()
            try group.drain(c)
            #expect(try group.archived().contains("00000002.history"))
            for arguments in [["check", "--only", "timelines"], ["segments"], ["plan", "--target", "latest"]] {
                try c.tidemark(arguments, expectSuccess: true)
            }
        }
    }

    /// By check and by status, with the command that brings it back.
    @Test(arguments: TestServer.ends, [false, true])
    func `a backup whose branch was put aside is named with the way back`(
        _ version: TestServer, _ hasOther: Bool
    ) throws {
        let site = try TestSite(version, initdb: ["--wal-segsize=1"])
        try site.cluster.psql("create table t (i int)")
        if hasOther {
            try site.tidemark(["backup"], expectSuccess: true)
            try site.cluster.psql("insert into t values (1); select pg_switch_wal()")
        }
        let before = try site.backupLabels()
        let first = try site.cluster.psql("select pg_walfile_name(pg_current_wal_lsn())")
        try site.tidemark(["backup"], expectSuccess: true)
        let label = try #require(site.backupLabels().subtracting(before).first)
        try site.cluster.wait(for: "the backup's WAL to be recycled") {
            for _ in 0..<4 { try site.cluster.psql("insert into t values (1); select pg_switch_wal()") }
            try site.cluster.psql("checkpoint")
            return try Files.list(site.cluster.data + "/pg_wal").compactMap { SegmentName($0) }
                .allSatisfy { $0.description > first }
        }
        try site.archiveEverything()
        let main = site.repository + "/main"
        let own = try Files.readText("\(main)/\(try Files.list(main)[0])/backup/\(label)/backup.json")
        let segment = String(
            try #require(own.firstMatch(of: /"start_segment" *: *"([0-9A-F]+)"/)).output.1)
        try site.tidemark(["segments", "put-aside", segment, "--certain", "--yes"], expectSuccess: true)
        let said =
            "\"\(label)\" is left out: its branch was put aside. If that was a mistake: tidemark segments put-back "
        for command in [["check"], ["status"]] + (hasOther ? [["check", "--only", "backup_health"]] : []) {
            let told = try site.tidemark(command)
            #expect(told.output.contains(said + segment), "\(command): \(told)")
        }
        let told = try site.tidemark(["status"])
        let offer = try #require(
            told.output.firstMatch(of: /a mistake: tidemark (segments put-back \S+(?: --config \S+?)?)\.\s/))
        try site.tidemark(offer.output.1.split(separator: " ").map(String.init) + ["--yes"], expectSuccess: true)
        for command in [["check"], ["status"]] {
            let told = try site.tidemark(command)
            #expect(!told.output.contains("was put aside"), "\(command): \(told)")
        }
        try site.tidemark(["plan", "--target", "latest"], expectSuccess: true)
    }

    @Test(arguments: TestServer.ends)
    func `a plan for a server whose own timeline was put aside brings it back`(_ version: TestServer) throws {
        let group = try ServerGroup(version)
        try group.accounted {
            let (a, b) = try group.addBackedUpPair()
            try a.stop()
            try b.promote()
            try fill(b)
            try group.drain(b)
            try a.tidemark(["segments", "put-aside", "2", "--certain", "--yes"], expectSuccess: true)
            try fill(b)
            try group.drain(b)
            let command = "tidemark segments put-back 00000002.history --config \(b.configuration)"
            for words in [["plan", "--target", "latest"], ["check", "--only", "timelines"]] {
                let said = try b.tidemark(words)
                #expect(said.ending != .exited(0) && (said.output + said.errors).contains(command), "\(said)")
                #expect(!(said.output + said.errors).contains("archive-push"), "\(said)")
            }
            let words = command.split(separator: " ").dropFirst().map(String.init)
            try b.tidemark(words + ["--yes"], expectSuccess: true)
            for command in [["plan", "--target", "latest"], ["segments"], ["verify", "--wal"]] {
                try b.tidemark(command, expectSuccess: true)
            }
        }
    }
}

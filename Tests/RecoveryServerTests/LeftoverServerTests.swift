import Platform
import Support
import Testing
import WAL

/// A way in which a recovery ends with a server that takes writes.
struct WayOut: Sendable {
    let name: String
    let target: RecoveryGoal
    let server: TestServer
    let arguments: [String]
    let start: Bool
    /// What a user does with the recovered directory after `recover`.
    let then: @Sendable (RecoveredDirectory) throws -> Void

    init(
        _ name: String, _ target: RecoveryGoal = .time, on server: TestServer = .v15, _ arguments: [String] = [],
        start: Bool = true, then: @escaping @Sendable (RecoveredDirectory) throws -> Void = { _ in }
    ) {
        (self.name, self.target, self.server) = (name, target, server)
        (self.arguments, self.start, self.then) = (arguments, start, then)
    }
}

/// Once a recovered server takes writes, its directory keeps no setting of the recovery.
@Suite(.serialized) struct LeftoverServerTests {
    /// A cluster with a backup and, after it, a target of every kind.
    final class Past: Sendable {
        let site: TestSite
        let targets: [RecoveryGoal: [String]]

        init(_ server: TestServer, settings: [String: String] = [:]) throws {
            site = try TestSite(server, settings: settings, initdb: ["--wal-segsize=1"])
            targets = try site.makePast()
        }
    }

    static let ways: [WayOut] =
        RecoveryGoal.allCases.map { WayOut("followed to \($0)", $0) }
        + TestServer.allCases.flatMap { server in
            [
                WayOut("paused, then resumed", .name, on: server, ["--target-action", "pause"]) { copy in
                    #expect(try !Self.left(in: copy.path).isEmpty, "an interrupted recovery still needs them")
                    _ = try copy.psql("select pg_wal_replay_resume()")
                },
                WayOut("shut down at the target, then opened", .lsn, on: server, ["--target-action", "shutdown"]) {
                    #expect(try !Self.left(in: $0.path).isEmpty)
                    try $0.pgControl(["-o", "-c recovery_target_action=promote", "start"])
                },
                WayOut("started by hand", .time, on: server, start: false) { copy in
                    #expect(try !Self.left(in: copy.path).isEmpty)
                    try copy.pgControl(["start"])
                },
            ]
        }
        + [
            WayOut("shut down, the action changed by hand", .name, ["--target-action", "shutdown"]) { copy in
                try runAsServerUser(
                    "/bin/sed",
                    [
                        "-i", "s/^recovery_target_action.*/recovery_target_action = promote/",
                        copy.path + "/postgresql.auto.conf",
                    ])
                try copy.pgControl(["start"])
            },
            WayOut("the server's file rewritten while paused", .xid, ["--target-action", "pause"]) { copy in
                // ALTER SYSTEM leaves no comments.
                _ = try copy.psql("alter system set work_mem = '5MB'")
                #expect(try !Files.readText(copy.path + "/postgresql.auto.conf").contains("# tidemark"))
                _ = try copy.psql("select pg_wal_replay_resume()")
            },
            WayOut(
                "with settings that count in recovery only", .time,
                [
                    "--set", "hot_standby=off", "--set", "recovery_prefetch=off", "--set", "recovery_end_command=true",
                ]),
        ]

    /// Names and values of the settings that a recovery leaves in `directory`.
    static func left(in directory: String) throws -> [String] {
        let settings = try Files.readText(directory + "/postgresql.auto.conf").split(separator: "\n").filter {
            $0.contains("recovery_") || $0.hasPrefix("restore_command") || $0.hasPrefix("hot_standby")
        }
        let record = try Files.exists(directory + "/pg_wal/tidemark.recovery")
        return settings.map(String.init) + (record ? ["the record"] : [])
    }

    /// PostgreSQL assigns every line of its configuration, and rejects two targets whatever the second one's value.
    @Test(arguments: [TestServer.v15, .v18])
    func `a target in the original's own configuration doesn't disturb another one`(_ server: TestServer) throws {
        let past = try Past(server, settings: ["recovery_target_xid": "'700'", "recovery_target_action": "shutdown"])
        for target in server == .v15 ? [RecoveryGoal.name, .immediate, .xid] : [.name] {
            let copy = try RecoveredDirectory(past.site)
            let finished = try copy.recover(past.targets[target]!)
            #expect(finished.ending == .exited(0), "\(target): \(finished.errors)\(copy.log)")
            #expect(try Self.left(in: copy.path).isEmpty)
        }
        let copy = try RecoveredDirectory(past.site)
        let refused = try copy.recover(past.targets[.name]! + ["--set", "recovery_target_action=pause"])
        #expect(refused.ending == .exited(2) && refused.errors.contains("--target-action"), "\(refused.errors)")
    }

    @Test(arguments: TestServer.allCases)
    func `no setting of a recovery is left once its server is a primary`(_ server: TestServer) throws {
        let past = try Past(server)
        for way in Self.ways where way.server == server { try follow(way, past) }
    }

    private func follow(_ way: WayOut, _ past: Past) throws {
        let copy = try RecoveredDirectory(past.site)
        let finished = try copy.recover(past.targets[way.target]! + way.arguments, start: way.start)
        try #require(finished.ending == .exited(0), "\(way.name): \(finished.errors)\(copy.log)")
        try way.then(copy)
        try copy.waitUntilOpen()
        #expect(try Self.left(in: copy.path) == [], "\(way.name): \(copy.log)")
        // Settings that must stay do: a copy doesn't archive.
        #expect(try Files.readText(copy.path + "/postgresql.auto.conf").contains("archive_mode = 'off'"))
        let status = try FileStatus(of: copy.path + "/postgresql.auto.conf")
        #expect(status.mode == 0o600)
        try copy.pgControl(["restart"])
        #expect(try copy.psql("show recovery_target_timeline") == "latest")
        #expect(try copy.psql("show restore_command") == "")
    }

    @Test(arguments: TestServer.ends)
    func `in place, the original's own settings count again, and its own command has run`(
        _ server: TestServer
    ) throws {
        let past = try Past(server)
        let (site, cluster) = (past.site, past.site.cluster)
        let ran = site.scratch.file("ran")
        let before = [
            "restore_command = 'my own %f %p'", "recovery_end_command = 'echo \\'it\\'\\'s over\\' %r >\(ran)'",
            "work_mem = '5MB'", "recovery_target_timeline = '1'", "recovery_target_name = 'left of another'",
        ]
        try cluster.append(to: "postgresql.auto.conf", before)
        // Targets are left in both files; neither may apply to the next recovery.
        try cluster.append(to: "postgresql.conf", ["recovery_target_xid = '1000000'"])
        try site.tidemark(["backup"], expectSuccess: true)
        try cluster.psql("insert into t values (5)")
        try site.archiveEverything()
        try cluster.stop()
        let finished = try site.tidemark(["recover", "--target", "latest", "--start", "--yes"])
        try #require(finished.ending == .exited(0), "\(finished.errors)")
        #expect(try cluster.psql("select count(*) from t") == "5")
        let after = try Files.readText(cluster.data + "/postgresql.auto.conf")
        #expect(after.hasSuffix(before.prefix(3).joined(separator: "\n") + "\n"), "\(after)")
        #expect(!after.contains("# tidemark"), "\(after)")
        let said = try Files.readText(ran)
        #expect(said.hasPrefix("its over 0000000"), "\(said)")
        try cluster.restart()
        #expect(try cluster.psql("show restore_command") == "my own %f %p")

        // Again, along the timeline that was left: its number is set, since the default leads elsewhere, and is
        // removed, too.
        try cluster.stop()
        let plan = try site.tidemark(["plan", "--target", "latest", "--target-timeline", "1"]).output
        #expect(plan.contains("recovery_target_timeline"), "\(plan)")
        #expect(try !site.tidemark(["plan", "--target", "latest"]).output.contains("recovery_target_timeline"))
        let again = try site.tidemark([
            "recover", "--target", "latest", "--target-timeline", "1", "--use-partial", "--start", "--yes",
        ])
        try #require(again.ending == .exited(0), "\(again.errors)")
        #expect(try Files.readText(cluster.data + "/postgresql.auto.conf") == after)
    }

    @Test func `a server opens without tidemark, and the next push removes what was left`() throws {
        let past = try Past(.v15)
        let (site, cluster) = (past.site, past.site.cluster)
        try cluster.stop()
        let finished = try site.tidemark(
            ["recover", "--start", "--target-action", "pause", "--yes"] + past.targets[.name]!)
        try #require(finished.ending == .exited(0), "\(finished.errors)")
        // The program is missing when the recovery ends.
        try runAsServerUser(
            "/bin/sed",
            [
                "-i", "s,^recovery_end_command = .*,recovery_end_command = '/nowhere/tidemark recovery-end || :',",
                cluster.data + "/postgresql.auto.conf",
            ])
        try cluster.psql("select pg_reload_conf()")
        try cluster.wait(for: "the server to read its configuration") {
            try cluster.psql("show recovery_end_command").hasPrefix("/nowhere")
        }
        try cluster.psql("select pg_wal_replay_resume()")
        try cluster.wait(for: "the server to take writes") { try cluster.psql("select pg_is_in_recovery()") == "f" }
        try site.archiveEverything()
        try cluster.wait(for: "a push to take the settings out") {
            try !Files.exists(cluster.data + "/pg_wal/tidemark.recovery")
        }
        let left = try Self.left(in: cluster.data)
        #expect(left.allSatisfy { $0.contains("/nowhere") }, "\(left)")
    }

    @Test(arguments: TestServer.ends)
    func `an interrupted recovery finds its settings, and a standby keeps its own`(_ server: TestServer) throws {
        let past = try Past(server)
        let site = past.site
        // A server killed while it recovers is started again, with other settings, which apply.
        let copy = try RecoveredDirectory(site)
        let paused = try copy.recover(past.targets[.name]! + ["--target-action", "pause"], start: false)
        try #require(paused.ending == .exited(0), "\(paused.errors)")
        try copy.pgControl(["start"])
        try copy.pgControl(["-m", "immediate", "stop"])
        let settings = try Self.left(in: copy.path)
        #expect(settings.contains { $0.hasPrefix("recovery_target_name") }, "\(settings)")
        try runAsServerUser(Executables.tidemark(), ["recovery-end", "--data-directory", copy.path])
        #expect(try Self.left(in: copy.path) == settings, "it is too early")
        try copy.pgControl(["start"])
        // Resumed before it reaches the target, it would never stop there.
        try site.cluster.wait(for: "the pause") { try copy.psql("select pg_is_wal_replay_paused()") == "t" }
        _ = try copy.psql("select pg_wal_replay_resume()")
        try copy.waitUntilOpen()
        #expect(try Self.left(in: copy.path) == [], "\(copy.log)")
        // The same directory restored to the backup, and a standby beside it.
        try copy.pgControl(["stop"])
        let delta = try copy.recover(past.targets[.lsn]! + ["--delta"])
        try #require(delta.ending == .exited(0), "\(delta.errors)\(copy.log)")
        #expect(try Self.left(in: copy.path) == [], "\(copy.log)")
        let standby = try RecoveredDirectory(site)
        let finished = try standby.recover(["--target", "latest", "--standby"])
        try #require(finished.ending == .exited(0), "\(finished.errors)\(standby.log)")
        #expect(try Self.left(in: standby.path).contains { $0.hasPrefix("restore_command") })
        try standby.pgControl(["promote"])
        #expect(try Self.left(in: standby.path) == [], "\(standby.log)")
    }
}

extension RecoveredDirectory {
    /// Runs pg_ctl with this directory and waits; throws with the server's log.
    func pgControl(_ arguments: [String]) throws {
        let finished = try runAsServerUser(
            site.cluster.server.bin + "/pg_ctl",
            ["-D", path, "-l", path + "/tidemark-recovery.log", "-w", "-s", "-t", "600"] + arguments,
            expectSuccess: false)
        guard finished.ending == .exited(0) else {
            throw Problem("pg_ctl \(arguments): \(finished.errors)", detail: log)
        }
    }

    var log: String { (try? Files.readText(path + "/tidemark-recovery.log")) ?? "no log" }

    func waitUntilOpen() throws {
        try site.cluster.wait(for: "the recovered server to take writes") {
            let finished = try runAsServerUser(
                TestServer.v15.bin + "/psql",
                ["-h", path, "-U", "postgres", "-d", "postgres", "-XAtqc", "select pg_is_in_recovery()"],
                expectSuccess: false)
            return finished.output == "f\n"
        }
    }
}

import Platform
import Support
import Testing

/// A copy that archives by mistake makes a timeline that the cluster was never on.
@Suite(.serialized) struct LivingTimelineServerTests {
    private struct Planned: Decodable {
        struct Target: Decodable { let timeline: String }
        struct Log: Decodable { let waiting: [String] }
        struct Transaction: Decodable { let xid: UInt32 }
        let target: Target
        let wal: Log
        let lastIncluded: Transaction?
        let warnings: [String]
    }

    private func planned(_ site: TestSite, _ arguments: [String]) throws -> Planned {
        let finished = try site.tidemark(["plan", "--json"] + arguments)
        try #require(finished.ending == .exited(0), "\(finished.errors)")
        return try RecoverAnswer.decode(Planned.self, finished.output)
    }

    private func archived(_ site: TestSite, timeline: String) throws -> [String] {
        let incarnation = try Files.list(site.repository + "/main")[0]
        let folder = "\(site.repository)/main/\(incarnation)/wal/\(timeline)"
        // Without the temporaries of a running push.
        return try Files.listIfPresent(folder).flatMap { try Files.list("\(folder)/\($0)") }
            .filter { !$0.hasPrefix(".") }.sorted()
    }

    @Test(arguments: TestServer.allCases)
    func `the cluster's own timeline outranks a stray one, its unarchived WAL counts, and a new host is asked`(
        _ server: TestServer
    ) throws {
        let site = try TestSite(server, initdb: ["--wal-segsize=1"])
        try site.cluster.psql("create table t (n int)")
        try site.tidemark(["backup"], expectSuccess: true)
        try site.cluster.psql("insert into t values (1)")
        try site.archiveEverything()

        // The copy is promoted, takes a row, and archives into the cluster's archive.
        let copy = try RecoveredDirectory(site)
        let push = "\(try Executables.tidemark()) archive-push --config \(site.configuration) %p"
        let made = try copy.recover([
            "--target", "latest", "--set", "archive_mode=on", "--set", "archive_command=\(push)",
        ])
        try #require(made.ending == .exited(0), "\(made.errors)")
        try copy.psql("insert into t values (-1)")
        try copy.psql("select pg_switch_wal()")
        try site.cluster.wait(for: "the copy to archive a segment of timeline 2") {
            try !archived(site, timeline: "00000002").isEmpty
        }
        for row in 2...3 { try site.cluster.psql("insert into t values (\(row))") }
        try site.archiveEverything()

        // While the server lives, its answer counts.
        let check = try site.tidemark(["check", "--only", "timelines"])
        #expect(check.ending == .exited(3), "\(check.output)\(check.errors)")
        #expect(check.output.contains("but the server is on timeline 1"), "\(check.output)")
        #expect(check.output.contains("tidemark segments put-aside 00000002.history"), "\(check.output)")
        let living = try planned(site, ["--target", "latest"])
        #expect(living.target.timeline == "1")
        let stray = "Timeline 2 is not followed"
        #expect(living.warnings.contains { $0.contains(stray) && $0.contains("put-aside") }, "\(living.warnings)")
        #expect(try planned(site, ["--target", "latest", "--target-timeline", "2"]).target.timeline == "2")
        if server == .v15 {
            let drill = try site.tidemark(["drill", "--json"])
            #expect(drill.output.contains("\"timeline\" : \"1\""), "\(drill.output)\(drill.errors)")
        }
        let table = ["recover-table", "--table", "postgres.public.t", "--target", "latest", "--dry-run"]
        let tables = try site.tidemark(table)
        #expect(tables.ending == .exited(0) && tables.output.contains(stray), "\(tables.output)\(tables.errors)")

        // When it is dead, its directory counts; the plan includes the WAL in its pg_wal.
        let xid = try site.cluster.psql("with i as (insert into t values (4) returning xmin) select xmin from i")
        try site.cluster.stop(mode: "immediate")
        let dead = try planned(site, ["--target", "latest"])
        #expect(dead.target.timeline == "1")
        #expect(dead.lastIncluded?.xid == UInt32(xid))
        #expect(dead.wal.waiting.count == 1, "\(dead.wal.waiting)")
        #expect(dead.warnings.contains { $0.contains(stray) && $0.contains("--target-timeline 2") }, "\(dead.warnings)")
        let beside = try planned(site, ["--target", "latest", "--data-directory", site.scratch.file("beside")])
        #expect(beside.lastIncluded?.xid != UInt32(xid))
        #expect(beside.warnings.contains { $0.contains("has transactions that are not archived") })
        let before = try archived(site, timeline: "00000001")
        let text = try site.tidemark(["plan", "--target", "latest"]).output
        #expect(text.contains("all but 1 are in the archive"), "\(text)")
        #expect(try archived(site, timeline: "00000001") == before)

        let recovered = try site.tidemark(["recover", "--target", "latest", "--start", "--yes", "--json"])
        try #require(recovered.ending == .exited(0), "\(recovered.errors)")
        let answer = try RecoverAnswer(recovered.output)
        #expect(answer.asPredicted == true)
        #expect(answer.plan.lastIncluded?.xid == UInt32(xid))
        #expect(try site.cluster.psql("select string_agg(n::text, ' ' order by n) from t") == "1 2 3 4")
        #expect(try site.cluster.psql("select timeline_id from pg_control_checkpoint()") == "3")
        // The recovered server's own checks, before anything of its timeline but the history is archived.
        for check in ["timelines", "wal_continuity", "recovery_window", "rpo"] {
            let told = try site.tidemark(["check", "--only", check])
            #expect(told.ending == .exited(0), "\(told)")
        }
        let status = try site.tidemark(["status"]).output
        #expect(status.contains("can be reached.") && !status.contains("othing can be recovered"), "\(status)")

        // The copy takes the only backup since the fork, and the cluster keeps writing.
        let ofCopy = site.scratch.file("copy.conf")
        let copied = try Files.readText(site.configuration)
            .replacing(site.cluster.data, with: copy.path).replacing(
                site.cluster.conninfo, with: "host=\(copy.path) user=postgres dbname=postgres"
            )
            .replacing(site.scratch.file("state"), with: site.scratch.file("copy-state"))
        try createDurably(ofCopy, bytes: Array(copied.utf8), mode: 0o644)
        try site.tidemark(["backup", "--no-expire", "--config", ofCopy], expectSuccess: true)
        #expect(try planned(site, ["--target", "latest"]).target.timeline == "3")

        // A new host has neither: tidemark asks which branch is meant, and what it offers works.
        try site.cluster.psql("insert into t values (5)")
        try site.archiveEverything()
        let elsewhere = site.scratch.file("new.conf")
        let config = try Files.readText(site.configuration)
            .replacing(site.cluster.data, with: site.scratch.file("new-host"))
            .replacing(site.scratch.file("state"), with: site.scratch.file("new-state"))
        try createDurably(elsewhere, bytes: Array(config.utf8), mode: 0o644)
        let newHost = ["TIDEMARK_CONFIG": elsewhere]
        let asked = try site.tidemark(["recover", "--target", "latest", "--yes"], environment: newHost)
        #expect(asked.ending == .exited(4), "\(asked.output)\(asked.errors)")
        #expect(asked.errors.contains("cannot tell which of timelines 2, 3 to follow"), "\(asked.errors)")
        #expect(asked.errors.contains("-full\" was taken of it in \""), "\(asked.errors)")
        #expect(try !Files.exists(site.scratch.file("new-host")))
        for timeline in ["2", "3"] {
            let option = ["--target", "latest", "--target-timeline", timeline]
            #expect(asked.errors.contains(option.joined(separator: " ") + " (on timeline"), "\(asked.errors)")
            let plan = try site.tidemark(["plan", "--json"] + option, environment: newHost)
            #expect(plan.ending == .exited(0), "\(plan.errors)")
        }
        if server == .v15 {
            // At a terminal the user answers there.
            let line = "\(try Executables.tidemark()) plan --target latest --config \(elsewhere)"
            for (answer, status) in [("3", 0), ("1", 4), ("", 4)] as [(String, Int32)] {
                let answered = try PlacesServerTests.onTerminal(line, typing: answer)
                #expect(answered.ending == .exited(status), "\(answer): \(answered)")
                #expect(answered.output.contains("Which timeline is the cluster's? [2/3]"), "\(answered)")
                let isPlanned = answered.output.contains(/timelines +1 until [^,]*, then 3/)
                #expect(isPlanned == (status == 0), "\(answered.output)")
            }
        }
        // Backups are taken of the cluster.
        try site.tidemark(["backup"], expectSuccess: true)
        let told = try site.tidemark(["plan", "--json", "--target", "latest"], environment: newHost)
        try #require(told.ending == .exited(0), "\(told.errors)")
        let plan = try RecoverAnswer.decode(Planned.self, told.output)
        #expect(plan.target.timeline == "3")
        #expect(plan.warnings.contains { $0.contains(stray) }, "\(plan.warnings)")
        // The command that the plan and the check name.
        try site.tidemark(["segments", "put-aside", "00000002.history", "--yes"], expectSuccess: true)
        let clear = try site.tidemark(["plan", "--target", "latest"], environment: newHost)
        #expect(clear.ending == .exited(0) && !clear.output.contains(stray), "\(clear.output)\(clear.errors)")
        // It is only put aside: a recovery that names its timeline can still use it.
        let back = try RecoveredDirectory(site)
        let there = try back.recover(["--target", "latest", "--target-timeline", "2"])
        try #require(there.ending == .exited(0), "\(there.errors)")
        #expect(try back.psql("select string_agg(n::text, ' ' order by n) from t") == "-1 1")
    }

    @Test(arguments: TestServer.allCases)
    func `after going too far back, the refusal names the timeline that has the target`(_ server: TestServer) throws {
        let site = try TestSite(server, initdb: ["--wal-segsize=1"])
        try site.cluster.psql("create table t (n int)")
        try site.tidemark(["backup"], expectSuccess: true)
        try site.cluster.psql("insert into t values (1)")
        try site.cluster.psql("select pg_create_restore_point('good')")
        let xid = try site.cluster.psql("with i as (insert into t values (2) returning xmin) select xmin from i")
        try site.cluster.psql("select pg_create_restore_point('later')")
        let time = try site.cluster.psql("select clock_timestamp()")
        try site.cluster.psql("insert into t values (3)")
        try site.archiveEverything()
        try site.cluster.stop()
        let back = try site.tidemark(["recover", "--target-name", "good", "--start", "--yes"])
        try #require(back.ending == .exited(0), "\(back.errors)")
        for target in [["--target-xid", xid], ["--target-name", "later"]] {
            let refused = try site.tidemark(["plan"] + target)
            #expect(refused.ending == .exited(4), "\(refused.output)")
            #expect(
                refused.errors.contains("timeline 2, which is followed, left timeline 1 at LSN"), "\(refused.errors)")
            let words = target + ["--target-timeline", "1"]
            #expect(refused.errors.contains(words.joined(separator: " ")), "\(refused.errors)")
            #expect(try site.tidemark(["plan"] + words).ending == .exited(0))
        }
        // The new timeline's first segment, without a commit.
        try site.archiveEverything()
        let refused = try site.tidemark(["plan", "--target-time", time])
        #expect(refused.ending == .exited(4) && refused.errors.contains("timeline 1 has the target"), "\(refused)")
        let offer = try #require(
            refused.errors.firstMatch(of: /--target-time '([^']+)' --target-timeline 1/), "\(refused)")
        let words = ["--target-time", String(offer.output.1), "--target-timeline", "1"]
        let planned = try site.tidemark(["plan", "--json"] + words, expectSuccess: true)
        #expect(planned.output.contains("\"xid\" : \(xid)"), "\(planned)")
        // A position that nothing has reached is refused, with and without a catalog.
        for lsn in ["FF/0", try site.cluster.psql("select pg_current_wal_insert_lsn()")] {
            let refused = try site.tidemark(["plan", "--target-lsn", lsn])
            #expect(refused.ending == .exited(4), "\(lsn): \(refused.ending) \(refused.errors)")
        }
    }

    @Test(arguments: TestServer.allCases)
    func `a gap after a drop does not hide it`(_ server: TestServer) throws {
        let site = try TestSite(server, initdb: ["--wal-segsize=1"])
        try site.cluster.psql("create table t (n int)")
        try site.cluster.psql("create database d")
        try site.tidemark(["backup"], expectSuccess: true)
        try site.cluster.psql("drop table t")
        try site.cluster.psql("drop database d")
        try site.archiveEverything()
        for n in 1...3 {
            try site.cluster.psql("create table filler\(n) (n int)")
            try site.archiveEverything()
        }
        let incarnation = try Files.list(site.repository + "/main")[0]
        let segments = try archived(site, timeline: "00000001")
        let gone = segments[segments.count - 2]
        let folder = "\(site.repository)/main/\(incarnation)/wal/00000001/\(gone.prefix(16))"
        try Files.remove("\(folder)/\(gone)")
        for target in [["--before-drop", "postgres.public.t"], ["--before-drop-database", "d"]] {
            let plan = try site.tidemark(["plan"] + target)
            #expect(plan.ending == .exited(0), "\(target): \(plan.errors)")
        }
        let table = ["recover-table", "--table", "postgres.public.t", "--before-drop", "--dry-run"]
        let tables = try site.tidemark(table)
        #expect(tables.ending == .exited(0), "\(tables.errors)")
        let drill = try site.tidemark(["drill", "--random"])
        #expect(drill.ending == .exited(0), "\(drill.errors)")
    }
}

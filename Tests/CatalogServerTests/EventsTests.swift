import FoundationEssentials
import Planning
import Platform
import Support
import Testing
import WAL

/// The output of the reporting commands for a real server's archive, and whether the commands they print bring things
/// back.
@Suite(.serialized) struct EventsTests {
    struct Event: Decodable {
        let kind: String
        let lsn: String
        let objects: [String]
        let detail: String?
        let command: String?
        let time: String?
    }

    private func decode<Value: Decodable>(_ type: Value.Type, _ text: String) throws -> Value {
        let decoder = JSONDecoder()
        decoder.keyDecodingStrategy = .convertFromSnakeCase
        return try decoder.decode(type, from: Data(text.utf8))
    }

    @Test(arguments: TestServer.allCases)
    func `each destructive event comes with the command that undoes it`(_ server: TestServer) throws {
        let site = try TestSite(server, initdb: ["--wal-segsize=1"])
        let cluster = site.cluster
        try cluster.psql("create database shop")
        try cluster.psql(
            """
            create table orders (id int primary key, t text);
            insert into orders select g, repeat('x', 200) from generate_series(1, 500) g;
            create table visits as select g id from generate_series(1, 300) g;
            create table old as select 1 id; create schema "My schema"; create table "My schema"."Odd.""Name" as select 1 id
            """, database: "shop")
        try cluster.psql("create database attic")
        try cluster.psql("create table kept as select generate_series(1, 77) id", database: "attic")
        try site.tidemark(["backup"], expectSuccess: true)
        try cluster.psql("insert into orders values (1000, 'after the backup')", database: "shop")
        try cluster.psql("select pg_create_restore_point('before the mess')")
        try cluster.psql("drop table orders", database: "shop")
        try cluster.psql(#"drop table "My schema"."Odd.""Name""#, database: "shop")
        try cluster.psql("truncate visits", database: "shop")
        try cluster.psql("vacuum full old", database: "shop")
        try cluster.psql("reindex table pg_class", database: "shop")
        try cluster.psql("drop database attic")
        try cluster.psql("create table later (i int)", database: "shop")
        try site.archiveEverything()

        let listed = try site.tidemark(["events", "--json"], expectSuccess: true).output
        let events = try decode([Event].self, listed)
        func one(_ kind: String, _ object: String) throws -> Event {
            let found = events.filter { $0.kind == kind && $0.objects == [object] }
            #expect(found.count == 1, "\(kind) \(object): \(listed)")
            return try #require(found.first)
        }
        let drop = try one("drop", "shop.public.orders")
        let truncate = try one("truncate", "shop.public.visits")
        let database = try one("drop-database", "attic")
        #expect(events.filter { $0.kind == "drop" }.count == 2, "\(listed)")
        // A name can be pasted as it is shown.
        let odd = try one("drop", #"shop."My schema"."Odd.""Name""#)
        for name in [odd.objects[0], #""My schema"."Odd.""Name""#, #""Odd.""Name""#] {
            let found = try site.tidemark(["events", "--json", "--table", name], expectSuccess: true).output
            #expect(try decode([Event].self, found).map(\.lsn) == [odd.lsn], "\(name)")
        }
        // A table of unknown name may be the requested one.
        try cluster.psql("create table ghost (i int)", database: "shop")
        try cluster.psql("drop table ghost", database: "shop")
        try site.archiveEverything()
        let ghost = try site.tidemark(["events", "--table", "ghost"], expectSuccess: true)
        #expect(ghost.errors.contains("1 drop or truncation is not shown, and may be this table's"), "\(ghost)")
        let known = try site.tidemark(["events"], expectSuccess: true)
        #expect(!known.errors.contains("not shown"), "\(known)")
        let before = try site.tidemark(["plan", "--before-drop", odd.objects[0]], expectSuccess: true)
        #expect(before.output.contains("LSN \(odd.lsn), exclusive"), "\(before.output)")
        #expect(events.contains { $0.kind == "restore-point" })
        #expect(!events.contains { $0.kind == "rewrite" })
        let rewrites = try decode(
            [Event].self, site.tidemark(["events", "--json", "--kind", "rewrite"], expectSuccess: true).output)
        // Before 15 a rewrite can't be distinguished from TRUNCATE.
        let rewritten = server.rawValue >= 15 ? rewrites : events.filter { $0.kind == "truncate" }
        #expect(rewritten.contains { $0.objects == ["shop.public.old"] })
        let ofTable = try decode(
            [Event].self, site.tidemark(["events", "--json", "--table", "public.visits"], expectSuccess: true).output)
        #expect(ofTable.map(\.lsn) == [truncate.lsn])

        try cluster.stop()
        for (event, database, query, expected) in [
            (drop, "shop", "select count(*), max(id) from orders", "501|1000"),
            (truncate, "shop", "select count(*) from visits", "300"),
            (database, "attic", "select count(*) from kept", "77"),
        ] {
            let words = try #require(event.command).split(separator: " ").map(String.init)
            #expect(words.prefix(2) == ["tidemark", "recover"])
            let scratch = try Scratch()
            let data = scratch.file("data")
            try site.tidemark(
                words.dropFirst() + ["--data-directory", data, "--yes", "--set", "archive_mode=off"],
                expectSuccess: true)
            let started = try runAsServerUser(
                server.bin + "/pg_ctl",
                ["-D", data, "-w", "-t", "300", "-l", scratch.file("log"), "-o", "-k \(scratch.path)", "start"],
                expectSuccess: false)
            #expect(started.ending == .exited(0), "\((try? Files.readText(scratch.file("log"))) ?? "")")
            defer { _ = try? runAsServerUser(server.bin + "/pg_ctl", ["-D", data, "-m", "immediate", "stop"]) }
            func ask(_ sql: String, _ database: String) throws -> String {
                try runAsServerUser(
                    server.bin + "/psql", ["-h", scratch.path, "-U", "postgres", "-d", database, "-XAtqc", sql]
                ).output
            }
            // It accepts queries as soon as it is consistent, before it reaches its target.
            try wait(for: "the end of recovery") { try ask("select pg_is_in_recovery()", "postgres") == "f\n" }
            #expect(try ask(query, database) == expected + "\n", "\(event.kind)")
        }
    }

    @Test func `a period's events are listed, and a table without a name is shown as such`() throws {
        let site = try TestSite(initdb: ["--wal-segsize=1"])
        let cluster = site.cluster
        try cluster.psql("create table named as select 1 i")
        try site.tidemark(["backup"], expectSuccess: true)
        func now() throws -> String { try cluster.psql("select clock_timestamp() at time zone 'UTC'") + " UTC" }
        func events(_ words: String...) throws -> [Event] {
            try decode([Event].self, site.tidemark(["events", "--json"] + words, expectSuccess: true).output)
        }
        let beginning = try now()
        try cluster.psql("drop table named")
        let between = try now()
        // Created and dropped between two backups: no relation map ever has it.
        try cluster.psql("create table brief as select 1 i")
        try cluster.psql("drop table brief")
        let end = try now()
        try cluster.psql("create table other as select 1 i")
        try cluster.psql("truncate other")
        try site.archiveEverything()

        let first = try events("--from", beginning, "--to", between)
        #expect(first.map(\.objects) == [["postgres.public.named"]], "\(first)")
        let second = try events("--from", between, "--to", end)
        #expect(second.map(\.kind) == ["drop"], "\(second)")
        #expect(second.first?.objects == [])
        #expect(second.first?.detail?.contains("that are in no backup's relation map") == true)
        #expect(second.first?.command?.contains("--target-lsn") == true)
        #expect(try events("--from", end, "--kind", "drop,truncate").map(\.kind) == ["truncate"])
        #expect(try events("--to", beginning, "--kind", "drop,truncate").isEmpty)
        #expect(try site.tidemark(["events", "--from", "yesterday"]).ending == .exited(2))
    }

    @Test func `stretches, windows and the surroundings of a moment are shown`() throws {
        struct Segments: Decodable {
            struct Stretch: Decodable { let segments: Int, timeline: Int }
            struct Gap: Decodable {
                let firstMissing: String?, lastMissing: String?, cause: String, atServer: Bool
            }
            let stretches: [Stretch]
            let gaps: [Gap]
        }
        struct Window: Decodable {
            struct One: Decodable {
                let backup: String, isConsistent: Bool, from: String, to: String?, ends: String, endsAt: String?
            }
            let from: String?, to: String?
            let windows: [One]
        }
        struct Around: Decodable {
            struct One: Decodable { let xid: Int, relations: [String], committed: Bool }
            let before: [One], after: [One]
        }
        let site = try TestSite(initdb: ["--wal-segsize=1"])
        let cluster = site.cluster
        try cluster.psql("create table t (i int); insert into t values (0)")
        try site.tidemark(["backup"], expectSuccess: true)
        let idle = try site.tidemark(["window"], expectSuccess: true).output
        #expect(idle.contains("The end of backup ") && !idle.contains("Any moment"), "\(idle)")
        for round in 1...6 {
            try cluster.psql("insert into t values (\(round))")
            try cluster.psql("begin; insert into t values (-1); rollback")
            try site.archiveEverything()
        }
        let moment = try cluster.psql("select clock_timestamp() at time zone 'UTC'") + " UTC"
        let xid = try cluster.psql("insert into t values (7) returning pg_current_xact_id()")
        try site.archiveEverything()

        var segments = try decode(Segments.self, site.tidemark(["segments", "--json"], expectSuccess: true).output)
        #expect(segments.gaps.isEmpty)
        #expect(segments.stretches.count == 1)
        let around = try decode(
            Around.self,
            site.tidemark(["around", "--target-time", moment, "--json", "--count", "2"], expectSuccess: true).output)
        #expect(around.before.map(\.committed) == [true, false])
        #expect(around.after.first.map { "\($0.xid)" } == xid)
        #expect(around.after.first?.relations == ["postgres.public.t"])
        var window = try decode(Window.self, site.tidemark(["window", "--json"], expectSuccess: true).output)
        #expect(window.windows.count == 1)
        #expect(window.windows.first?.isConsistent == true)
        #expect(window.windows.first?.ends == "archive")

        // A gap, some segments after the backup.
        let archived = try Files.list(site.repository + "/main").first { $0.hasPrefix("15-") } ?? ""
        let folder = "\(site.repository)/main/\(archived)/wal/00000001/0000000100000000"
        let names = try Files.list(folder).filter { $0.utf8.count == 28 }.sorted()
        let lost = names[names.count - 3]
        try Files.removeIfPresent(folder + "/" + lost)
        let finished = try site.tidemark(["segments", "--json"])
        #expect(finished.ending == .exited(3))
        segments = try decode(Segments.self, finished.output)
        #expect(segments.stretches.count == 2)
        let gap = try #require(segments.gaps.first)
        #expect(gap.firstMissing == String(lost.dropLast(4)))
        #expect(gap.cause.contains("never archived, or have been removed"))
        let isAtServer = try runAsServerUser(
            "/usr/bin/test", ["-f", cluster.data + "/pg_wal/" + lost.dropLast(4)], expectSuccess: false)
        #expect(gap.atServer == (isAtServer.ending == .exited(0)))
        let torn = try site.tidemark(["window", "--json"])
        #expect(torn.ending == .exited(3))
        window = try decode(Window.self, torn.output)
        #expect(window.windows.first?.ends == "gap")
        #expect(window.windows.first?.endsAt == String(lost.dropLast(4)))
        let missing = "cannot be reached: segment \"\(lost.dropLast(4))\" is missing."
        let open = try site.tidemark(["window"]).output
        #expect(open.contains("Moments after ") && open.contains(") \(missing)"), "\(open)")
        let text = try site.tidemark(["segments"]).output
        #expect(text.contains("GAP:  segment \"\(lost.dropLast(4))\" of timeline 1"))
        #expect(text.contains("cannot be reached: no backup was taken after the gap."))

        // With a backup after it, it lies between two.
        try site.tidemark(["backup"], expectSuccess: true)
        let between = try site.tidemark(["window"])
        #expect(between.ending == .exited(3))
        #expect(between.output.contains("-full, \(missing)"), "\(between.output)")
        #expect(between.output.contains("Earlier ones can be recovered to only within a window."), "\(between.output)")

        let known = try site.tidemark(["segments", "--json"]).output
        window = try decode(Window.self, site.tidemark(["window", "--json"]).output)

        // The catalog may vanish or be damaged at any moment.
        try runAsServerUser(
            "/bin/sh",
            [
                "-c", "for f in \"$1\"/*.catalog; do printf garbage > \"$f\"; done", "sh", site.learned(),
            ])
        let again = try site.tidemark(["segments", "--json"])
        #expect(again.errors.contains("is damaged and is rebuilt from the repository"))
        #expect(again.output == known)
        // And so may all other local state.
        try runAsServerUser("/bin/rm", ["-rf", site.scratch.file("state/main")])
        #expect(try site.tidemark(["segments", "--json"]).output == known)
        let same = try decode(Window.self, site.tidemark(["window", "--json"]).output)
        #expect(same.to == window.to && same.windows.map(\.endsAt) == window.windows.map(\.endsAt))
        try runAsServerUser("/bin/rm", ["-rf", site.scratch.file("state/main")])
        try site.archiveEverything()
        let newest = try #require(try Files.list(folder).filter { $0.utf8.count == 28 }.max())
        let push = cluster.data + "/pg_wal/" + newest.dropLast(4)
        try site.tidemark(["archive-push", push], expectSuccess: true)
        let status = try site.tidemark(["catalog", "status"], expectSuccess: true)
        #expect(status.output.contains(" segments on 1 timeline, 2 backups"), "\(status.output)")
        try site.tidemark(["catalog", "rebuild"], expectSuccess: true)
        #expect(try site.tidemark(["catalog", "mend"]).ending == .exited(2))
    }

    @Test func `what expire removed between two kept backups is no gap`() throws {
        struct Segments: Decodable {
            struct Gap: Decodable { let firstMissing, lastMissing: String?, cause: String, expired: String? }
            let gaps: [Gap]
        }
        let site = try TestSite(initdb: ["--wal-segsize=1"], configuration: ["[retention]", "keep_full = 1"])
        try site.tidemark(["backup", "--pin"], expectSuccess: true)
        for _ in 0..<2 {
            for _ in 0..<3 {
                try site.cluster.psql("select pg_logical_emit_message(true, 'between', 'backups')")
                try site.archiveEverything()
            }
            try site.tidemark(["backup"], expectSuccess: true)
        }
        try site.cluster.psql("select pg_logical_emit_message(true, 'behind', 'backups')")
        try site.archiveEverything()
        let finished = try site.tidemark(["segments", "--json"], expectSuccess: true)
        let gap = try #require(try decode(Segments.self, finished.output).gaps.first)
        #expect(gap.expired != nil && gap.cause.contains("\"expire\" removed them"))
        let told = try site.tidemark(["segments"], expectSuccess: true).output
        #expect(told.contains("GONE: segments \"\(gap.firstMissing ?? "")\" to \"\(gap.lastMissing ?? "")\""))
        #expect(told.contains("There are no gaps."))

        let window = try site.tidemark(["window"], expectSuccess: true).output
        #expect(window.contains("were removed by \"expire\"") && !window.contains("cannot be reached"), "\(window)")
        #expect(window.contains("Earlier ones can be recovered to only within a window."), "\(window)")
        try site.tidemark(["events"], expectSuccess: true)

        // One segment more than it removed.
        let last = try #require(gap.lastMissing.flatMap { SegmentName($0) })
        let next = last.next(segmentSize: 1 << 20)
        let archived = try Files.list(site.repository + "/main").first { $0.hasPrefix("15-") } ?? ""
        try Files.remove("\(site.repository)/main/\(archived)/wal/00000001/0000000100000000/\(next).zst")
        let damaged = try site.tidemark(["segments"])
        #expect(damaged.ending == .exited(3))
        #expect(damaged.output.contains("GAP:  segment \"\(next)\" of timeline 1"))
    }

    /// The commit record of a transaction that dropped many tables crosses a segment's end, with more on either side
    /// than summaries keep.
    @Test func `a long record over a segment's end is read from both segments`() throws {
        let site = try TestSite(settings: ["max_locks_per_transaction": "1000"], initdb: ["--wal-segsize=1"])
        try site.tidemark(["backup"], expectSuccess: true)
        func forAll(_ statement: String) -> String {
            "do $$ begin for i in 1..2500 loop execute format('\(statement)', i); end loop; end $$;"
        }
        try site.cluster.psql(forAll("create table d%s ()"))
        let xid = try site.cluster.psql(
            """
            begin; \(forAll("drop table d%s"))
            do $$ declare room int := 1048576 - 80000 - mod(pg_current_wal_insert_lsn() - '0/0', 1048576)::int;
            begin
                if room < 0 then room := room + 1048576; end if;
                perform pg_logical_emit_message(false, 'fill', repeat('x', room));
            end $$;
            select pg_current_xact_id(); commit
            """)
        try site.cluster.psql("create table later ()")
        try site.archiveEverything()
        let events = try decode(
            [Event].self, site.tidemark(["events", "--json", "--kind", "drop"], expectSuccess: true).output)
        let event = try #require(events.first)
        #expect(events.count == 1, "\(events)")
        let offset = try #require(UInt64(event.lsn.split(separator: "/")[1], radix: 16)) % 1_048_576
        #expect((65_536..<90_000).contains(1_048_576 - offset), "\(event.lsn)")
        let shown = try site.tidemark(["events", "--kind", "drop"], expectSuccess: true).output
        #expect(shown.contains("transaction \(xid)"), "\(shown)")
        struct Plan: Decodable {
            struct Transaction: Decodable { let xid: UInt32 }
            let lastIncluded, firstExcluded: Transaction?
        }
        for state in [[], ["--state-directory", "/proc/none"]] {
            func planned(_ words: String...) throws -> Plan {
                try decode(Plan.self, site.tidemark(["plan", "--json"] + words + state, expectSuccess: true).output)
            }
            #expect(try planned("--target-xid", xid).lastIncluded.map { "\($0.xid)" } == xid)
            #expect(try planned("--target-lsn", event.lsn, "--exclusive").firstExcluded.map { "\($0.xid)" } == xid)
        }
    }
}

import Glibc
import Platform
import Support
import Testing

/// Impossible requests are refused, and failures leave nothing behind.
@Suite(.serialized) struct RefusalTests {
    @Test func `a table that cannot be recovered is refused by name`() throws {
        let shop = try Shop(
            "create unlogged table scratchpad (id int); create table orders (id int primary key); insert into orders values (1)",
            "create schema other; create table other.orders (id int)")
        try shop.backup()
        let target = try shop.moment()
        try shop.sql("create type later as enum ('a')")
        try shop.site.archiveEverything()
        func refused(_ arguments: [String]) throws -> (Finished.TerminationStatus, String) {
            let finished = try shop.recover(
                arguments + ["--to-file", shop.site.scratch.file("x")], expectSuccess: false)
            return (finished.ending, finished.errors)
        }
        let time = ["--target-time", target]
        var (ending, errors) = try refused(["-t", "shop.public.scratchpad"] + time)
        #expect(
            ending == .exited(1)
                && errors.contains("cannot recover table \"public.scratchpad\": it was unlogged at the target"),
            "\(errors)")
        (ending, errors) = try refused(["-t", "shop.public.\"Orders\""] + time)
        #expect(errors.contains("table shop.public.\"Orders\" did not exist at the target"), "\(errors)")
        #expect(errors.contains("\"public.orders\""), "\(errors)")
        (ending, errors) = try refused(["-t", "nowhere.public.orders"] + time)
        #expect(errors.contains("database \"nowhere\" did not exist at the target"), "\(errors)")
        (ending, errors) = try refused(["-t", "orders"] + time)
        #expect(ending == .exited(2) && errors.contains("cannot understand the table name"), "\(errors)")
        (ending, errors) = try refused(["-t", "shop.public.orders", "--target-time", "2001-01-01 00:00:00+00"])
        #expect(ending == .exited(4), "\(errors)")
        (ending, errors) = try refused(["-t", "shop.public.orders", "--before-drop"])
        #expect(ending == .exited(4) && errors.contains("no drop of the tables is in the archive"), "\(errors)")
        (ending, errors) = try refused(["-t", "shop.public.orders", "--bin-directory", "/nowhere"] + time)
        #expect(
            errors.contains("program \"postgres\" is not in \"/nowhere\"") && errors.contains("postgresql-15"),
            "\(errors)")
        (ending, errors) = try refused(["-t", "shop.public.orders", "-t", "postgres.public.a"] + time)
        #expect(ending == .exited(2) && errors.contains("tables of two databases"), "\(errors)")
        let nowhere = try shop.recover(["-t", "shop.public.orders"] + time, expectSuccess: false)
        #expect(nowhere.ending == .exited(2) && nowhere.errors.contains("where should the tables go?"))
    }

    @Test func `types, views and roles that the live database lacks are named`() throws {
        let shop = try Shop(
            """
            create type mood as enum ('good'); create domain pieces as int;
            create table orders (m mood, p pieces, l mood[]); insert into orders values ('good', 1, null);
            create view known as select 1 as a; create role seer;
            create policy own on orders to seer using (exists (select from known));
            """)
        try shop.backup()
        let target = try shop.moment()
        try shop.sql("drop table orders; drop type mood; drop domain pieces; drop view known; drop role seer")
        try shop.site.archiveEverything()
        let finished = try shop.recover(
            ["-t", "shop.public.orders", "--target-time", target, "--into-table"], expectSuccess: false)
        #expect(
            finished.errors.contains("Missing: type public.mood, type public.mood[], type public.pieces."),
            "\(finished.errors)")
        let secured = try shop.recover(
            ["-t", "shop.public.orders", "--target-time", target, "--into-table", "--with-triggers"],
            expectSuccess: false)
        #expect(
            secured.errors.contains(
                "Missing: type public.mood, type public.mood[], type public.pieces, view public.known, role seer."),
            "\(secured.errors)")
    }

    /// While files are restored, while the temporary server starts, and once it runs.
    @Test func `interrupted at any step, it stops its server and leaves nothing`() throws {
        let shop = try Shop(
            "create table orders as select n as id, repeat('x', 200) as t from generate_series(1, 2000) n")
        try shop.backup()
        try shop.sql("update orders set t = 'y'")
        try shop.site.archiveEverything()
        let scratch = shop.site.scratch.file("state") + "/scratch"
        for place in ["write:30", "open:/server.log", "open:/scratch/*postmaster.pid"] {
            let ended = try Gate(at: place).run(
                Executables.directory.get() + "/tidemark-main",
                ["recover-table", "-t", "shop.public.orders", "--target", "latest", "--into-table=public.again"],
                environment: ["TIDEMARK_CONFIG": shop.site.configuration],
                meanwhile:
                    "test -n \"$(ls '\(scratch)')\" && kill -s TERM $process; touch \"$GATE\"; wait $process; exit")
            #expect(ended.ending == .exited(130), "\(place): \(ended)")
            #expect(!ended.errors.contains("trying again"), "\(place): \(ended.errors)")
            #expect(try Files.list(scratch) == [], "\(place): \(ended.errors)")
            try shop.cluster.wait(for: "every process of the temporary cluster to end") {
                try run("/usr/bin/pgrep", ["-f", scratch]).output.isEmpty
            }
            #expect(try shop.sql("select to_regclass('again') is null") == "t", "\(place)")
        }
    }

    private static let killed = TestSite.shared {
        let shop = try Shop(
            "create table orders as select n as id, repeat('x', 200) as t from generate_series(1, 60000) n")
        try shop.backup()
        try shop.sql("update orders set t = 'y'")
        try shop.site.archiveEverything()
        return shop.site
    }

    /// From the first file of the temporary cluster to the last of what is left of it.
    @Test(
        arguments: [
            "write:30", "open:/server.log", "open:/scratch/*postmaster.pid", "wait:pg_dump", "wait:pg_restore",
            "removeDirectory:/scratch/*/base",
        ])
    func `killed at any point, the next call clears up and the live database has no half table`(_ call: String) throws {
        let site = try Self.killed.get()
        let shop = Shop(site)
        try shop.sql("drop table if exists again, third")
        let killed = try runAsServerUser(
            Executables.directory.get() + "/tidemark-main",
            ["recover-table", "-t", "shop.public.orders", "--target", "latest", "--into-table=public.again"],
            environment: ["TIDEMARK_CONFIG": shop.site.configuration, "TIDEMARK_FAULT": "\(call)=kill"],
            expectSuccess: false)
        #expect([.signalled(SIGKILL), .exited(137)].contains(killed.ending), "\(killed)")
        // Its session may be about to commit.
        try shop.cluster.wait(for: "the server to miss its client") {
            try shop.sql("select count(*) from pg_stat_activity where application_name = 'tidemark'") == "0"
        }
        // A command that was killed between its commit and its end has brought back the whole table.
        let isThere = try shop.sql("select to_regclass('again') is not null") == "t"
        #expect(isThere == call.hasPrefix("removeDirectory:"), "\(killed)")
        if isThere { #expect(try shop.fingerprint("again") == shop.fingerprint("orders")) }
        let parent = shop.site.scratch.file("state") + "/scratch"
        let left = try Files.listIfPresent(parent)
        let name = isThere ? "third" : "again"
        try shop.recover(["-t", "shop.public.orders", "--target", "latest", "--into-table=public.\(name)"])
        #expect(try shop.fingerprint(name) == shop.fingerprint("orders"), "left then: \(left)")
        try shop.cluster.wait(for: "every process of the temporary clusters to end") {
            try run("/usr/bin/pgrep", ["-f", parent]).output.isEmpty
        }
    }
}

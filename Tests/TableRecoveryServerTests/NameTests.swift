import Platform
import Postgres
import Support
import Testing

/// Arbitrary names and settings of sessions.
@Suite(.serialized) struct NameTests {
    /// A quotation mark and a combining mark after it are one `Character`. No part of such a name is executed.
    @Test func `whatever is in a name, it is a name`() throws {
        let quoted = "\"o\"\"\u{301}; drop table victim; --\""
        let shop = try Shop(
            """
            create table victim (id int); create table \(quoted) (id int primary key, \(quoted) serial);
            create statistics \(quoted) on id, \(quoted) from \(quoted);
            create role \(quoted); grant select on \(quoted) to \(quoted); insert into \(quoted) values (1)
            """)
        try shop.backup()
        let target = try shop.moment()
        try shop.sql("delete from \(quoted)")
        try shop.site.archiveEverything()
        for options in [
            ["--diff", "--apply", "missing", "--yes"], ["--into-table"], ["--replace", "--yes"],
            ["--to-file", shop.site.scratch.file("x.dump")],
        ] {
            let finished = try shop.recover(
                ["-t", "shop.public.\(quoted)", "--target-time", target] + options, expectSuccess: false)
            #expect(finished.ending == .exited(0), "\(options): \(finished)")
            #expect(try shop.sql("select to_regclass('victim') is not null") == "t", "\(options)")
            #expect(try shop.sql("select count(*) from \(quoted)") == "1", "\(options) \(finished)")
        }
    }

    @Test func `temporary tables of other sessions are passed over, and so is a temporary child`() throws {
        let shop = try Shop("create table orders (id int primary key); insert into orders values (1)")
        let other = try Connection(shop.cluster.conninfo, database: "shop")
        try other.execute(
            "create temporary table mine (id int); create temporary table child () inherits (public.orders)")
        try shop.backup()
        try shop.sql("insert into orders values (2)")
        try shop.site.archiveEverything()
        for table in ["shop.*.*", "shop.public.orders"] {
            let name = "public.again\(table.count)"
            let into =
                table.contains("*") ? ["--to-file", shop.site.scratch.file("all.dump")] : ["--into-table=\(name)"]
            let finished = try shop.recover(["-t", table, "--target", "latest"] + into, expectSuccess: false)
            #expect(finished.ending == .exited(0), "\(table): \(finished)")
            if !table.contains("*") { #expect(try shop.sql("select count(*) from \(name)") == "2") }
        }
    }

    @Test(arguments: ["LATIN1", "SQL_ASCII"])
    func `a database need not be of UTF-8, nor a name of letters without accents`(_ encoding: String) throws {
        let shop = try Shop("select 1")
        try shop.cluster.psql("create database old encoding '\(encoding)' locale 'C' template template0")
        func sql(_ text: String) throws -> String { try shop.cluster.psql(text, database: "old") }
        // Its statements are in UTF-8, whatever the database's encoding.
        try Connection(shop.cluster.conninfo, database: "old").execute(
            """
            set search_path = public; create table "caf\u{E9}" (id int primary key, t text);
            insert into "caf\u{E9}" values (1, '\u{E9}'), (2, convert_from('\\xe9', '\(encoding)'))
            """)
        try shop.backup()
        try shop.site.archiveEverything()
        for options in [["--to-file", shop.site.scratch.file("x.sql")], ["--into-table=public.again"]] {
            let finished = try shop.recover(
                ["-t", "old.public.caf\u{E9}", "--target", "latest"] + options, expectSuccess: false)
            #expect(finished.ending == .exited(0), "\(options): \(finished)")
        }
        #expect(
            try sql("select string_agg(encode(t::bytea, 'hex'), ' ' order by id) from again")
                == (encoding == "LATIN1" ? "e9 e9" : "c3a9 e9"))
    }

    @Test func `a name that is not UTF-8 is no obstacle to other tables`() throws {
        let shop = try Shop("select 1")
        try shop.cluster.psql("create database old encoding 'SQL_ASCII' locale 'C' template template0")
        func sql(_ text: String) throws -> String { try shop.cluster.psql(text, database: "old") }
        _ = try sql(
            """
            create table good (id int primary key, t text); insert into good values (1, chr(233)), (2, 'x');
            do $$ begin execute 'create table "caf' || chr(233) || '" (id int primary key references good)'; end $$
            """)
        try shop.backup()
        _ = try sql("delete from good where id = 2")
        try shop.site.archiveEverything()
        let ways: [(options: [String], ending: Finished.TerminationStatus)] = [
            (["--to-file", shop.site.scratch.file("x.sql")], .exited(0)), (["--into-table=public.again"], .exited(0)),
            (["--diff"], .exited(0)), (["--diff", "--apply", "missing", "--yes"], .exited(0)),
            (["--replace", "--yes"], .exited(0)),
        ]
        for way in ways {
            let finished = try shop.recover(
                ["-t", "old.public.good", "--target", "latest"] + way.options, expectSuccess: false)
            #expect(finished.ending == way.ending, "\(way.options): \(finished)")
        }
        #expect(try sql("select encode(t::bytea, 'hex') from again") == "e9")
        let named = try shop.recover(
            ["-t", "old.public.*", "--target", "latest", "--to-file", shop.site.scratch.file("y.sql")],
            expectSuccess: false)
        #expect(named.ending == .exited(1) && named.errors.contains("its name is not UTF-8"), "\(named)")
        try shop.site.recoverWhole(as: named)
    }
}

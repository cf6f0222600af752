import Platform
import Support
import Testing

/// Tables whose foreign keys refer to themselves or to one another.
private struct Circle: Sendable, CustomTestStringConvertible {
    let name: String
    let tables: [String]
    let definition: String
    var testDescription: String { name }
}

private let circles = [
    Circle(
        name: "to itself", tables: ["tree"],
        definition: """
            create table tree (id int primary key, parent int references tree);
            insert into tree values (1, null), (2, 1), (3, 2)
            """),
    Circle(
        name: "a pair", tables: ["team", "player"],
        definition: """
            create table team (id int primary key, captain int);
            create table player (id int primary key, team int references team);
            insert into team values (1, 7); insert into player values (7, 1), (8, 1);
            alter table team add foreign key (captain) references player
            """),
    Circle(
        name: "a cycle of three", tables: ["one", "two", "three"],
        definition: """
            create table one (id int primary key, next int); create table two (id int unique, next int references one);
            create table three (id int primary key, next int references two (id));
            insert into one values (1, 3); insert into two values (2, 1); insert into three values (3, 2);
            alter table one add foreign key (next) references three
            """),
    Circle(
        name: "of two columns", tables: ["cell"],
        definition: """
            create table cell (a int, b text, above int, before text, primary key (a, b),
                constraint up foreign key (above, before) references cell match full on delete cascade);
            insert into cell values (1, 'x', null, null), (2, 'y', 1, 'x')
            """),
    Circle(
        name: "of a partitioned table to itself", tables: ["part"],
        definition: """
            create table part (id int primary key, parent int references part) partition by range (id);
            create table part_1 partition of part for values from (0) to (10);
            create table part_2 partition of part for values from (10) to (20);
            insert into part values (1, null), (11, 1), (12, 11)
            """),
    Circle(
        name: "deferrable, by a unique index", tables: ["chain"],
        definition: """
            create table chain (id int, next int); create unique index chain_by_id on chain (id);
            alter table chain add foreign key (next) references chain (id) deferrable initially deferred;
            insert into chain values (1, 2), (2, 1)
            """),
]

@Suite(.serialized) struct CircularKeyTests {
    private static let keys = """
        select string_agg(conrelid::regclass || ' ' || conname || ' ' || pg_get_constraintdef(oid), ', ' order by conrelid::regclass::text, conname)
        from pg_constraint where contype = 'f' and conparentid = 0 and convalidated and conrelid::regclass::text
        """

    @Test func `tables come back with their keys to themselves and to one another`() throws {
        let shop = try Shop()
        for circle in circles { try shop.sql(circle.definition) }
        try shop.backup()
        let target = try shop.moment()
        var keys: [String: String] = [:]
        for circle in circles {
            let list = circle.tables.joined(separator: "|")
            keys[circle.name] = try shop.sql(Self.keys + " ~ '^(\(list))$'")
            #expect(keys[circle.name] != "", "\(circle.name)")
            try shop.sql("truncate \(circle.tables.joined(separator: ", ")) cascade")
        }
        try shop.site.archiveEverything()
        for circle in circles {
            let options = circle.tables.flatMap { ["-t", "shop.public.\($0)"] } + ["--target-time", target]
            let list = circle.tables.joined(separator: "|")
            // Beside the present tables, under new names: keys refer to the new ones.
            let beside = try shop.recover(options + ["--into-table", "--with-foreign-keys"])
            #expect(beside.ending == .exited(0), "\(circle): \(beside.errors)")
            let new = try shop.sql(Self.keys + " ~ '^(\(list))_[0-9]{8}t[0-9]{6}z$'")
            #expect(
                new.filter { $0 == "(" }.count == (keys[circle.name] ?? "").filter { $0 == "(" }.count,
                "\(circle): \(new)")
            #expect(
                new.ranges(of: "REFERENCES").count == new.ranges(of: try Regex("REFERENCES (\(list))_[0-9]{8}t")).count,
                "\(new)")
            for table in circle.tables {
                try shop.sql("drop table \(shop.restored(table)) cascade")
            }
            let replaced = try shop.recover(options + ["--replace", "--yes"])
            #expect(replaced.ending == .exited(0), "\(circle): \(replaced.errors)")
            #expect(!replaced.errors.contains("still refer to the old table"), "\(circle): \(replaced.errors)")
            #expect(try shop.sql(Self.keys + " ~ '^(\(list))$'") == keys[circle.name], "\(circle)")
            #expect(
                try shop.sql("select count(*) > 1 or '\(list)' ~ 'one|two' from \(circle.tables.last ?? "")") == "t")
        }
        // Under a given name, which the keys follow.
        let named = try shop.recover(
            ["-t", "shop.public.tree", "--target-time", target, "--into-table=public.forest", "--with-foreign-keys"])
        #expect(named.ending == .exited(0), "\(named.errors)")
        #expect(try shop.sql(Self.keys + " = 'forest'").contains("REFERENCES forest(id)"))
    }

    @Test func `a partition that comes back alone keeps its key to its own table`() throws {
        let shop = try Shop(
            """
            create table part (id int primary key, parent int constraint up references part deferrable) partition by range (id);
            create table part_1 partition of part for values from (0) to (10);
            create table part_2 partition of part for values from (10) to (20) partition by range (id);
            create table part_21 partition of part_2 for values from (10) to (20);
            insert into part values (1, null), (2, 1), (11, 1), (12, 11)
            """)
        try shop.backup()
        let target = try shop.moment()
        try shop.sql("truncate part")
        try shop.site.archiveEverything()
        func recover(_ table: String, _ options: [String]) throws -> Finished {
            try shop.recover(
                ["-t", "shop.public.\(table)", "--target-time", target, "--into-table=public.back"] + options)
        }
        for table in ["part_1", "part_21"] {
            _ = try recover(table, ["--with-foreign-keys"])
            let keys = try shop.sql(
                "select string_agg(conname || ' ' || pg_get_constraintdef(oid), ', ') from pg_constraint where contype = 'f' and conparentid = 0 and conrelid = 'back'::regclass"
            )
            #expect(keys == "up FOREIGN KEY (parent) REFERENCES part(id) DEFERRABLE NOT VALID", "\(table)")
            #expect(try shop.sql("select count(*) from back") == "2")
            try shop.sql("drop table back")
            // Without the flag it is named.
            let without = try recover(table, [])
            #expect((without.output + without.errors).contains("foreign key back up"), "\(without)")
            try shop.sql("drop table back")
        }
        // What can't be made is named.
        let whole = try recover("part_2", ["--with-foreign-keys"])
        #expect((whole.output + whole.errors).contains("foreign key up of"), "\(whole)")
    }

    @Test func `what a table was at the target decides, not what it is now`() throws {
        let shop = try Shop(
            "create unlogged table dropped (id int)", "create unlogged table again (id int)",
            "create table later (id int)", "create table \"Sales 2026\" (id int)")
        try shop.backup()
        try shop.sql("insert into dropped values (1); alter table dropped set logged; insert into dropped values (2)")
        try shop.sql("insert into again values (3); alter table again set logged")
        try shop.sql("alter table later set unlogged; insert into later values (4)")
        let target = try shop.moment()
        try shop.sql("drop table dropped; alter table again set unlogged; alter table later set logged")
        try shop.site.archiveEverything()
        let file = shop.site.scratch.file("dropped.sql")
        try shop.recover(["-t", "shop.public.dropped", "--before-drop", "--to-file", file])
        try shop.recover(["-t", "shop.public.dropped", "--target-time", target, "--into-table=public.dropped"])
        #expect(try shop.sql("select count(*) from dropped") == "2")
        try shop.recover(["-t", "shop.public.again", "--target-time", target, "--replace", "--yes"])
        #expect(try shop.sql("select id from again") == "3")
        let refused = try shop.recover(
            ["-t", "shop.public.later", "--target-time", target, "--into-table"], expectSuccess: false)
        #expect(refused.ending == .exited(1))
        #expect(
            refused.errors.contains("cannot recover table \"public.later\": it was unlogged at the target"),
            "\(refused.errors)")
        // It needs no live server, either.
        let gone = ["--conninfo", "host=\(shop.site.scratch.file("nowhere")) user=postgres"]
        for (table, wanted) in [("again", "3"), ("dropped", "1 2")] {
            let file = shop.site.scratch.file("\(table)-alone.sql")
            try shop.recover(["-t", "shop.public.\(table)", "--target-time", target, "--to-file", file] + gone)
            let rows = try Files.readText(file).split(separator: "\n").filter { Int($0) != nil }.sorted()
            #expect(rows.joined(separator: " ") == wanted, "\(table)")
        }
        let alone = try shop.recover(
            ["-t", "shop.public.later", "--target-time", target, "--to-file", shop.site.scratch.file("later.sql")]
                + gone,
            expectSuccess: false)
        #expect(alone.ending == .exited(1) && alone.errors.contains("it was unlogged at the target"), "\(alone)")
        // Names of two parts, and the hints for them.
        for (text, hint) in [
            ("t2", "Did you mean --into-table=public.t2?"),
            ("\"Big t\"", "Did you mean '--into-table=public.\"Big t\"'?"),
            ("shop.public.t2", "Quote names that"), ("public.*", "Quote names that"),
        ] {
            let wrong = try shop.recover(
                ["-t", "shop.public.again", "--target-time", target, "--into-table=\(text)"], expectSuccess: false)
            #expect(wrong.ending == .exited(2) && wrong.errors.contains(hint), "\(wrong.errors)")
        }
        try shop.sql("drop table \"Sales 2026\"")
        try shop.site.archiveEverything()
        let told = try shop.recover(["-t", "shop.public.\"Sales 2026\"", "--before-drop", "--to-file", file + "2"])
        #expect(told.errors.contains("table public.\"Sales 2026\" was dropped at"), "\(told.errors)")
    }
}

import Platform
import Support
import Testing

/// `recover-table --diff --apply missing`: triggers, locks, several tables, and rows that can't come back.
@Suite(.serialized) struct LostRowsTests {
    @Test func `every trigger of a table and its partitions is silent, and afterwards as it was`() throws {
        let shop = try Shop(
            """
            create table log (what text); create table written (n int);
            create function note() returns trigger language plpgsql as
                'begin insert into log values (tg_name); return new; end';
            create table orders (id int, part int, primary key (id, part)) partition by list (part);
            create table orders_1 partition of orders for values in (1);
            create table orders_2 partition of orders for values in (2);
            create table orders_3 partition of orders for values in (3) partition by list (part);
            create table orders_31 partition of orders_3 for values in (3);
            create trigger shared after insert on orders for each row execute function note();
            create trigger whole before insert on orders for each statement execute function note();
            create trigger own before insert on orders_2 for each row execute function note();
            create trigger late after update on orders_2 for each row execute function note();
            create table items (id int primary key, orders int, part int,
                foreign key (orders, part) references orders deferrable initially deferred);
            create trigger shared after insert on items for each row execute function note();
            insert into orders select n, 1 + n % 3 from generate_series(1, 300) n;
            insert into items select n, n, 1 + n % 3 from generate_series(1, 300) n;
            alter table only orders_1 disable trigger shared; alter table orders_2 enable always trigger own;
            alter table orders_31 enable replica trigger shared; truncate log
            """)
        func states() throws -> String {
            try shop.sql(
                """
                select string_agg(tgrelid::regclass || ' ' || tgname || ' ' || tgenabled::text, ', ' order by tgrelid, tgname)
                from pg_trigger where not tgisinternal
                """)
        }
        let before = try states()
        try shop.backup()
        let target = try shop.moment()
        try shop.sql("delete from items where id <= 30; delete from orders where id <= 30")
        try shop.site.archiveEverything()
        // One session uses the table until another has written to it while the recovery waits for the first.
        let blocked = "exists (select from pg_locks where relation = 'orders'::regclass and not granted)"
        let holding = """
            do $$ begin
                insert into orders values (1001, 1);
                while not \(blocked) loop perform pg_sleep(0.05); end loop;
                for n in 1..1200 loop
                    if exists (select from written) then return; end if;
                    perform pg_sleep(0.05);
                end loop;
                raise exception 'nobody could write';
            end $$
            """
        let writing = """
            do $$ begin
                while not \(blocked) loop perform pg_sleep(0.05); end loop;
                insert into orders values (1002, 2); insert into written values (1);
            end $$
            """
        let said = shop.site.scratch.file("said")
        for statement in [holding, writing] {
            try runAsServerUser(
                "/bin/sh",
                [
                    "-c", "(\"$@\"; echo done) >>'\(said)' 2>&1 &", "sh", TestServer.v15.bin + "/psql", "-h",
                    shop.cluster.directory, "-U", "postgres", "-d", "shop", "-Xqc", statement,
                ])
        }
        try shop.cluster.wait(for: "the session that uses the table") {
            try shop.sql("select count(*) > 0 from pg_locks where relation = 'orders'::regclass") == "t"
        }
        let tables = ["-t", "shop.public.items", "-t", "shop.public.orders"]
        let finished = try shop.recover(
            tables + ["--target-time", target, "--diff", "--apply", "missing", "--yes"], expectSuccess: false)
        try shop.cluster.wait(for: "the other sessions' end") {
            try Files.readText(said).split(separator: "\n").count { $0 == "done" } == 2
        }
        #expect(try Files.readText(said) == "done\ndone\n")
        #expect(finished.ending == .exited(0), "\(finished)")
        #expect(try shop.sql("select count(*) from orders") == "302")
        #expect(try shop.sql("select count(*) from items") == "300")
        // What the two other sessions have written.
        #expect(try shop.sql("select string_agg(what, ' ' order by what) from log") == "own shared whole whole")
        #expect(try states() == before)
    }

    @Test func `rows that cannot come back show in the exit status`() throws {
        let shop = try Shop(
            """
            create table orders (id int primary key, code text unique); insert into orders values (1, 'a'), (2, 'b');
            """)
        try shop.backup()
        let target = try shop.moment()
        try shop.sql("delete from orders; insert into orders values (3, 'a')")
        try shop.site.archiveEverything()
        let options = ["-t", "shop.public.orders", "--target-time", target, "--diff", "--apply", "missing", "--yes"]
        let finished = try shop.recover(options, expectSuccess: false)
        #expect(finished.output.contains("2 missing, 0 changed, 1 added since; 1 put back"), "\(finished)")
        #expect(finished.ending == .exited(3), "\(finished)")
    }

    @Test func `the rows of several tables come back together or not at all`() throws {
        let shop = try Shop(
            """
            create table customers (id int primary key); insert into customers values (1);
            create table a (id int primary key); insert into a values (1);
            create table b (id int primary key references customers); insert into b values (1);
            """)
        try shop.backup()
        let target = try shop.moment()
        try shop.sql("delete from a; delete from b; delete from customers")
        try shop.site.archiveEverything()
        let options = ["--target-time", target, "--diff", "--apply", "missing", "--yes"]
        let failed = try shop.recover(["-t", "shop.public.a", "-t", "shop.public.b"] + options, expectSuccess: false)
        #expect(failed.ending == .exited(1) && failed.errors.contains("b_id_fkey"), "\(failed)")
        #expect(try shop.sql("select count(*) from a") == "0")
    }

    @Test func `keys to one another and to tables that come later are no obstacle`() throws {
        let shop = try Shop(
            """
            create table z (id int primary key); create table b (id int primary key references z, a int);
            create table a (id int primary key references b); alter table b add foreign key (a) references a;
            insert into z select generate_series(1, 9); insert into b select id from z; insert into a select id from b;
            update b set a = id
            """)
        try shop.backup()
        let target = try shop.moment()
        try shop.sql("update b set a = null; delete from a; delete from b where id < 9; delete from z where id < 9")
        try shop.site.archiveEverything()
        let finished = try shop.recover(
            ["-t", "shop.public.*", "--target-time", target, "--diff", "--apply", "missing", "--yes"],
            expectSuccess: false)
        #expect(try shop.sql("select count(*) from a") == "9", "\(finished)")
        #expect(try shop.sql("select count(*), count(a) from b") == "9|8", "\(finished)")
        #expect(
            finished.output.contains("public.b: 9 rows then, 1 now; 8 missing, 1 changed, 0 added since; 8 put back"),
            "\(finished)")
    }

    @Test func `rows of an inheriting table come back into that table`() throws {
        let shop = try Shop(
            """
            create table animals (id int primary key, name text);
            create table dogs (breed text, primary key (id)) inherits (animals);
            create table pups (age int) inherits (dogs);
            insert into animals values (1, 'cat'), (2, 'cow'); insert into dogs values (3, 'rex', 'collie'), (4, 'ben', 'pug');
            insert into pups values (5, 'bo', 'pug', 1), (6, 'al', 'pug', 2)
            """)
        try shop.backup()
        let tables = ["animals", "dogs", "pups"]
        let before = try tables.map { try shop.fingerprint("only " + $0) }
        let target = try shop.moment()
        try shop.sql("delete from animals where id in (1, 3, 5)")
        try shop.site.archiveEverything()
        let finished = try shop.recover(
            ["-t", "shop.public.animals", "--target-time", target, "--diff", "--apply", "missing", "--yes"])
        for (table, expected) in zip(tables, before) {
            #expect(try shop.fingerprint("only " + table) == expected, "\(table): \(finished)")
            #expect(
                finished.output.contains(
                    "public.\(table): 2 rows then, 1 now; 1 missing, 0 changed, 0 added since; 1 put back"),
                "\(finished)")
        }
    }
}

import Platform
import Support
import Testing

/// recover-table on tables that are still there.
@Suite(.serialized) struct LiveTableTests {
    @Test func `lost rows are counted and put back, and nothing else is changed`() throws {
        let shop = try Shop(
            """
            create table orders (id int primary key, customer text, worth int generated always as (id * 2) stored);
            insert into orders select n, 'c' || n from generate_series(1, 1000) n;
            create table log (what text);
            create function note() returns trigger language plpgsql as 'begin insert into log values (new.id); return new; end';
            create trigger note after insert on orders for each row execute function note();
            create table nokey (a int); insert into nokey values (1);
            """)
        try shop.backup()
        let target = try shop.moment()
        try shop.sql("delete from orders where id % 10 = 0")
        try shop.sql("update orders set customer = 'changed' where id <= 5")
        try shop.sql("insert into orders values (2000, 'later'); alter table orders add column extra text default 'e'")
        try shop.site.archiveEverything()
        let options = ["--table", "shop.public.orders", "--target-time", target, "--diff"]
        let compared = try shop.recover(options, expectSuccess: false)
        #expect(compared.ending == .exited(3))
        #expect(
            compared.output.contains("1000 rows then, 901 now; 100 missing, 5 changed, 1 added since"),
            "\(compared.output)")
        #expect(compared.output.contains("Not compared: extra"))
        #expect(try shop.sql("select count(*) from orders") == "901")

        let applied = try shop.recover(options + ["--apply", "missing", "--yes"])
        #expect(applied.output.contains("100 put back"), "\(applied.output)")
        #expect(try shop.sql("select count(*), sum(id), count(distinct customer) from orders") == "1001|502500|997")
        // The trigger saw only the row inserted later; the trigger is there, and enabled.
        #expect(try shop.sql("select count(*) from log") == "1")
        #expect(try shop.sql("select tgenabled from pg_trigger where tgname = 'note'") == "O")

        let keyless = try shop.recover(
            ["--table", "shop.public.nokey", "--target-time", target, "--diff"], expectSuccess: false)
        #expect(keyless.ending == .exited(1))
        #expect(keyless.errors.contains("it has no primary key"), "\(keyless.errors)")
    }

    @Test func `a replaced table takes the old one's place with everything, and the old one is kept`() throws {
        let shop = try Shop(
            """
            create role clerk;
            create table customers (name text primary key); insert into customers select 'c' || n from generate_series(1, 10) n;
            create table orders (id serial primary key, customer text references customers, unique (customer, id));
            create table items (orders int references orders);
            create view recent as select * from orders where id > 5;
            grant select on orders to clerk; create publication news for table orders;
            create function worth(orders) returns int language sql as 'select 1';
            create policy own on items using (orders in (select id from orders)); create policy mine on orders using (id > 0);
            insert into orders (customer) select 'c' || n from generate_series(1, 10) n;
            """)
        try shop.backup()
        let expected = try shop.fingerprint("orders")
        let definition = try TableRecoveryServerTests.definition("orders", of: shop)
        let target = try shop.moment()
        try shop.sql("update orders set customer = 'c1'")
        try shop.site.archiveEverything()
        let refused = try shop.recover(
            ["--table", "shop.public.orders", "--target-time", target, "--replace"], expectSuccess: false)
        #expect(refused.errors.contains("cannot ask for confirmation without a terminal"), "\(refused.errors)")
        // The recovery waits for a session that keeps reading, for longer than one attempt at the lock.
        let reading = """
            do $$ begin
                perform count(*) from orders;
                while not exists (select from pg_locks where relation = 'orders'::regclass and not granted) loop
                    perform pg_sleep(0.1);
                end loop;
                perform pg_sleep(3);
            end $$
            """
        let reader = shop.site.scratch.file("reader")
        try runAsServerUser(
            "/bin/sh",
            [
                "-c", "(\"$@\" && echo done) >'\(reader)' 2>&1 &", "sh", TestServer.v15.bin + "/psql", "-h",
                shop.cluster.directory, "-U", "postgres", "-d", "shop", "-Xqc", reading,
            ])
        try shop.cluster.wait(for: "the reader") {
            try shop.sql("select count(*) from pg_locks where relation = 'orders'::regclass") == "1"
        }
        let finished = try shop.recover([
            "--table", "shop.public.orders", "--target-time", target, "--replace", "--yes",
        ])
        // Its session ended before the lock was granted; the shell around it may need a moment.
        try shop.cluster.wait(for: "the reader's end") { try Files.readText(reader) == "done\n" }
        #expect(finished.errors.contains("orders_before_restore"), "\(finished.errors)")
        #expect(finished.errors.contains("view public.recent"), "\(finished.errors)")
        #expect(finished.errors.contains("foreign key items_orders_fkey of public.items"), "\(finished.errors)")
        for dependent in [
            "publication of table public.orders in publication news", "function public.worth(public.orders)",
            "policy own on table public.items",
        ] { #expect(finished.errors.contains(dependent), "\(dependent): \(finished.errors)") }
        #expect(!finished.errors.contains("policy mine"), "\(finished.errors)")
        #expect(try shop.fingerprint("orders") == expected)
        #expect(try TableRecoveryServerTests.definition("orders", of: shop) == definition)
        #expect(try shop.sql("select count(distinct customer) from orders_before_restore") == "1")
        #expect(try shop.sql("select has_table_privilege('clerk', 'orders', 'select')") == "t")
        #expect(try shop.sql("insert into orders (customer) values ('c1') returning id > 10") == "t")
        #expect(
            try shop.sql("select count(*) from pg_constraint where conrelid = 'orders'::regclass and contype = 'f'")
                == "1")
        // Once more: the table kept the first time is in the way, which is reported before anything is restored, or in
        // time.
        for table in ["orders", "orde*"] {
            let again = try shop.recover(
                ["--table", "shop.public.\(table)", "--target-time", target, "--replace", "--yes"], expectSuccess: false
            )
            #expect(again.errors.contains("table \"public.orders_before_restore\" already exists"), "\(again.errors)")
            #expect(again.errors.contains("Is it from an earlier recovery?"), "\(again.errors)")
            #expect(try shop.sql("select to_regclass('orders_being_restored') is null") == "t")
        }
    }

    @Test func `a dump file holds the tables and is never overwritten`() throws {
        let shop = try Shop(
            "create table orders (id int primary key, t text); insert into orders select n, 'x' from generate_series(1, 100) n",
            "create table items (id int); insert into items values (1), (2); create table stranger (id int)")
        try shop.backup()
        let target = try shop.moment()
        try shop.sql("drop table orders; drop table items")
        try shop.site.archiveEverything()
        // The temporary directory of the test is open to the server's user.
        let file = shop.site.scratch.file("shop.dump")
        let options = ["-t", "shop.public.orders", "-t", "shop.public.it*", "--target-time", target, "--to-file", file]
        try shop.recover(options)
        try shop.cluster.psql("create database copy")
        try runAsServerUser(
            shop.cluster.server.bin + "/pg_restore",
            ["-h", shop.cluster.directory, "-U", "postgres", "-d", "copy", "--exit-on-error", file])
        #expect(try shop.cluster.psql("select count(*) from orders", database: "copy") == "100")
        #expect(try shop.cluster.psql("select to_regclass('stranger') is null", database: "copy") == "t")
        let whole = shop.site.scratch.file("all.sql")
        let all = ["--database", "shop", "--target-time", target, "--to-file", whole]
        try shop.recover(all)
        let text = try Files.readText(whole)
        for (path, options) in [(file, options), (whole, all)] {
            let before = try (Files.read(path), FileStatus(of: path).inode)
            let again = try shop.recover(options, expectSuccess: false)
            #expect(again.ending == .exited(1), "\(again)")
            #expect(again.errors.contains("file \"\(path)\" already exists"), "\(again.errors)")
            #expect(try Files.read(path) == before.0 && FileStatus(of: path).inode == before.1)
        }
        #expect(text.contains("COPY public.orders") && text.contains("COPY public.stranger"))
    }
}

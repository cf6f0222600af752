import Platform
import Support
import Testing

/// What happened to a table between the backup and the recovery; `%t` is the table, `%o` another one like it.
private struct Mishap: Sendable {
    let name: String
    /// After the backup, before the target.
    var before: [String] = []
    /// The mistake, after the target.
    let mistake: [String]
}

private let mishaps = [
    Mishap(name: "dropped", mistake: ["drop table %t cascade"]),
    Mishap(name: "truncated", mistake: ["truncate %t"]),
    Mishap(name: "updated", mistake: ["update %t set customer = 'x'"]),
    Mishap(name: "deleted", before: ["delete from %t where id % 5 = 0"], mistake: ["delete from %t where id % 3 = 0"]),
    Mishap(
        name: "rewritten", before: ["alter table %t alter column total type numeric(14,4)"],
        mistake: ["alter table %t alter column customer type varchar(40) using left(customer, 2)"]),
    Mishap(
        name: "vacuumed", before: ["vacuum full %t", "update %t set total = 1 where id < 50"],
        mistake: ["delete from %t", "vacuum full %t"]),
    Mishap(
        name: "moved",
        before: [
            "create schema archive", "alter table %t set schema archive",
            "alter table archive.moved set schema public",
        ],
        mistake: ["alter table %t rename to moved_old"]),
    Mishap(
        name: "remade",
        before: [
            "drop table %t cascade",
            "create table %t as select n as id, 'new' || n as customer, n::numeric as total from generate_series(1, 4000) n",
        ], mistake: ["drop table %t"]),
    Mishap(
        name: "exchanged",
        before: [
            "alter table %t rename to tmp", "alter table %o rename to exchanged", "alter table tmp rename to %o",
            "update %t set customer = 'late' where id <= 10",
        ], mistake: ["drop table %t"]),
    Mishap(
        name: "copied_in",
        before: [
            "create table fresh (like %t)", "insert into fresh select * from %t", "drop table %t",
            "alter table fresh rename to copied_in",
        ],
        mistake: ["truncate %t"]),
]

@Suite(.serialized) struct TableRecoveryServerTests {
    @Test(arguments: TestServer.allCases)
    func `tables come back as they were after mishaps of every kind`(_ server: TestServer) throws {
        let shop = try Shop(
            "create table heap as select n, md5(n::text) as t from generate_series(1, 30000) n",
            "create index heap_hash on heap using hash (t)", server: server)
        func say(_ statements: [String], _ mishap: Mishap) throws {
            for text in statements {
                try shop.sql(text.replacing("%t", with: mishap.name).replacing("%o", with: mishap.name + "_other"))
            }
        }
        for (number, mishap) in mishaps.enumerated() {
            try say(
                [
                    """
                    create table %t (id int primary key, customer text, total numeric(10,2), note text);
                    create index %t_customer on %t (customer); create index %t_brin on %t using brin (id);
                    create table %o (like %t);
                    insert into %t select n, 'c' || n * \(number), n, case when n % 500 = 0 then repeat(md5(n::text), 50000) end
                        from generate_series(1, 2000) n;
                    insert into %o select n, 'o' || n, n, null from generate_series(1, 1000) n
                    """
                ], mishap)
        }
        try shop.sql("create schema gone; create table gone.with_schema as select n from generate_series(1, 100) n")
        try shop.backup()
        for mishap in mishaps { try say(mishap.before, mishap) }
        try shop.sql("update heap set t = t || 'x' where n % 7 = 0")
        try shop.sql("vacuum heap")
        let expected = try mishaps.map { try shop.fingerprint($0.name) }
        let target = try shop.moment()
        for mishap in mishaps { try say(mishap.mistake, mishap) }
        try shop.sql("delete from heap where n % 3 = 0; drop schema gone cascade")
        try shop.site.archiveEverything()
        let untouched = try shop.fingerprint("heap")
        let wanted = mishaps.flatMap { ["-t", "shop.public.\($0.name)"] } + ["-t", "shop.gone.*"]
        for options in [["--no-filter-wal"], []] {
            let finished = try shop.recover(wanted + ["--target-time", target, "--into-table"] + options)
            for (mishap, expected) in zip(mishaps, expected) {
                let new = try shop.restored(mishap.name)
                #expect(
                    try shop.fingerprint(new) == expected,
                    "\(mishap.name) \(options): \(finished.output)\(finished.errors)")
                try shop.sql("drop table \(new)")
            }
            #expect(try shop.fingerprint(shop.restored("with_schema")).hasPrefix("100 "))
            try shop.sql("drop schema gone cascade")
        }
        #expect(try shop.fingerprint("heap") == untouched)
    }

    @Test(arguments: TestServer.allCases)
    func `a dropped table comes back with all that belongs to it, without naming the moment`(_ server: TestServer)
        throws
    {
        let shop = try Shop(
            """
            create role alice; create role clerk;
            create type mood as enum ('good', 'bad');
            create domain positive as int check (value > 0);
            create table customers (name text primary key);
            create table orders (
                id bigint generated always as identity primary key, customer text not null references customers,
                feeling mood default 'good', pieces positive, price numeric(10,2), worth numeric generated always as (price * 2) stored,
                tags text[], "odd Name" text collate "C", unique (customer, pieces), check (price >= 0));
            create index on orders (lower(customer)); create index on orders using brin (id) ;
            comment on table orders is 'what they want'; comment on column orders.pieces is 'how many';
            create function noisy() returns trigger language plpgsql as 'begin return new; end';
            create trigger audit before insert on orders for each row execute function noisy();
            alter table orders owner to alice; grant select on orders to clerk;
            insert into customers select 'c' || n from generate_series(1, 500) n;
            insert into orders (customer, pieces, price, tags, "odd Name")
                select 'c' || n, n, n / 10.0, array['a', null, 'b,c'], E'tab\\tand \\\\ newline\\n' from generate_series(1, 500) n;
            """, server: server)
        try shop.backup()
        try shop.sql("delete from orders where id > 490; update orders set feeling = 'bad' where id = 7")
        let expected = try shop.fingerprint("orders")
        let definition = try Self.definition("orders", of: shop)
        try shop.sql("drop table orders")
        try shop.sql("create table heap as select n from generate_series(1, 1000) n")
        try shop.site.archiveEverything()
        for options in [["--no-filter-wal"], []] {
            let finished = try shop.recover(
                ["--table", "shop.public.orders", "--before-drop", "--into-table=public.orders"] + options)
            #expect(finished.output.contains("490 rows"), "\(finished.output)")
            #expect(finished.output.contains("foreign key orders orders_customer_fkey"), "\(finished.output)")
            #expect(finished.output.contains("trigger orders audit"), "\(finished.output)")
            #expect(try shop.fingerprint("orders") == expected)
            #expect(try Self.definition("orders", of: shop) == definition)
            #expect(try shop.sql("insert into orders (customer, pieces) values ('c1', 1000) returning id > 500") == "t")
            #expect(
                try shop.sql("select pg_get_userbyid(relowner) from pg_class where oid = 'orders'::regclass") == "alice"
            )
            try shop.sql("drop table orders")
        }
    }

    /// A table's definition as pg_dump prints it, without foreign keys, triggers and grants.
    static func definition(_ table: String, of shop: Shop) throws -> Set<Substring> {
        let dump = try runAsServerUser(
            shop.cluster.server.bin + "/pg_dump",
            [
                "-h", shop.cluster.directory, "-U", "postgres", "-d", "shop", "--schema-only", "--no-privileges", "-t",
                table,
            ])
        var lines = dump.output.split(separator: "\n").filter { !$0.hasPrefix("\\") && !$0.hasPrefix("--") }
        lines.removeAll { $0.contains("FOREIGN KEY") || $0.contains("TRIGGER") }
        // As a set: what a foreign key's ALTER TABLE leaves behind is a line that others have, too.
        return Set(lines)
    }

    @Test(arguments: TestServer.allCases)
    func `partitions come with their table, names with quotes and capitals too`(_ server: TestServer) throws {
        let shop = try Shop(
            """
            create schema "Sales ""A"; set search_path = "Sales ""A";
            create table "Order s" (day date, n int, t text, primary key (day, n)) partition by range (day);
            create table "Order 2025" partition of "Order s" for values from ('2025-01-01') to ('2026-01-01');
            create table "Order 2026" partition of "Order s" for values from ('2026-01-01') to ('2027-01-01') partition by list (n);
            create table "Order 2026 odd" partition of "Order 2026" for values in (1, 3, 5);
            create table "Order 2026 rest" partition of "Order 2026" default;
            insert into "Order s" select date '2025-06-01' + g, g % 7, 'x' || g from generate_series(0, 700) g where date '2025-06-01' + g < '2027-01-01';
            create table loose (like "Order s" including all); insert into loose values ('2027-01-05', 1, 'late');
            create table stranger as select n from generate_series(1, 20000) n;
            """, server: server, database: "My Shop")
        try shop.backup()
        // A partition that the relation map lists as another relation.
        try shop.sql(
            "alter table \"Sales \"\"A\".\"Order s\" attach partition \"Sales \"\"A\".loose for values from ('2027-01-01') to ('2028-01-01')"
        )
        let table = "\"Sales \"\"A\".\"Order s\""
        let expected = try shop.fingerprint(table)
        let target = try shop.moment()
        try shop.sql("alter table \(table) detach partition \"Sales \"\"A\".\"Order 2025\"; drop table \(table)")
        try shop.site.archiveEverything()
        for (number, options) in [["--no-filter-wal"], []].enumerated() {
            let finished = try shop.recover(
                ["--table", "\"My Shop\".\(table)", "--target-time", target, "--into-table=back\(number).\"Copy\""]
                    + options)
            #expect(try shop.fingerprint("back\(number).\"Copy\"") == expected, "\(finished.output)")
        }
        #expect(try shop.sql("select count(*) from pg_inherits where inhparent = 'back0.\"Copy\"'::regclass") == "3")
    }
}

import Platform
import Support
import Testing

/// Code planted in the data runs when a scratch server reads the data; it must not reach the living server from there.
@Suite struct PlantedCodeTests {
    struct Plant: Sendable {
        let name: String
        let sql: String
        var server = TestServer.v15
    }

    private static func trigger(_ name: String, on event: String, _ server: TestServer = .v15) -> Plant {
        Plant(
            name: name,
            sql: """
                create function \(name)() returns event_trigger language plpgsql as $$ begin
                    perform public.attack('\(name)'); end $$;
                create event trigger \(name) on \(event) execute function \(name)();
                alter event trigger \(name) enable always
                """, server: server)
    }

    /// Each calls `attack(name)`; the last ones fire at later steps.
    static let plants = [
        Plant(name: "view", sql: "create view counted_view as select public.attack('view')"),
        Plant(name: "owner", sql: "create view counted_owner as select public.attack_as_owner('owner')"),
        Plant(
            name: "policy",
            sql: """
                create table counted_policy as select 1 n; alter table counted_policy enable row level security;
                create policy p on counted_policy using (public.attack('policy'))
                """),
        Plant(
            name: "operator",
            sql: """
                create function equal(a integer, b integer) returns boolean language sql as $$select public.attack('operator')$$;
                create operator public.= (leftarg = integer, rightarg = integer, function = equal);
                alter role postgres set search_path = public, pg_catalog
                """),
        Plant(
            name: "index",
            sql: """
                create function of_index(integer) returns boolean immutable language sql as $$select public.attack('index')$$;
                create table counted_index (n integer); create index on counted_index (of_index(n));
                insert into counted_index values (1)
                """),
        Plant(
            name: "amcheck",
            sql: """
                create extension amcheck;
                create function bt_index_check(index oid, heapallindexed boolean) returns void language sql
                    as $$select public.attack('amcheck')$$;
                create function verify_heapam(relation oid, on_error_stop boolean, check_toast boolean, skip text)
                    returns table (blkno bigint, offnum integer, attnum integer, msg text) language sql
                    as $$select 1, 1, 1, null where not public.attack('amcheck')$$
                """),
        trigger("of_commands", on: "ddl_command_end"),
        trigger("of_drops", on: "sql_drop"),
        trigger("of_sessions", on: "login", .v18),
        Plant(name: "switch", sql: "alter database postgres set event_triggers = on", server: .v18),
    ]

    @Test(arguments: ["postgres", "reader"])
    func `following a copy's recovery fires no login trigger of the copy`(role: String) throws {
        let site = try TestSite(.v18, initdb: ["--wal-segsize=1"])
        let fired = site.scratch.file("fired")
        try site.cluster.psql(
            """
            create role reader login; grant pg_monitor to reader;
            create function note() returns event_trigger security definer language plpgsql as $$ begin
                execute format('copy (select 1) to %L', '\(fired)'); end $$;
            create event trigger note on login execute function note(); alter event trigger note enable always
            """)
        try site.tidemark(["backup"], expectSuccess: true)
        try site.archiveEverything()
        let directory = try RecoveredDirectory(site)
        try Files.removeIfPresent(fired)
        let done = try site.tidemark([
            "recover", "--target", "latest", "--data-directory", directory.path, "--start", "--yes",
            "--conninfo", "host=\(site.cluster.directory) dbname=postgres user=\(role)",
        ])
        #expect(done.ending == .exited(0), "\(done)")
        #expect(try !Files.exists(fired))
        // The copy's own users get what the original has.
        try directory.psql("select 1")
        #expect(try Files.exists(fired))
    }

    @Test(arguments: [TestServer.v15, .v18])
    func `code planted in the data doesn't reach the original's server`(_ server: TestServer) throws {
        try #require(Confinement.refusesConnections, "this kernel has no seccomp")
        let site = try TestSite(
            server, initdb: ["--wal-segsize=1"],
            configuration: [
                "drill_min_rows = 'public.counted_view=1, public.counted_owner=1, public.counted_policy=1, "
                    + "public.counted_index=1'",
                "drill_sql = 'select 1 = 1; select attack($$query$$), current_setting($$is_superuser$$) operator(pg_catalog.=) $$off$$'",
            ])
        let cluster = site.cluster
        // Otherwise a trigger on login would fire for the attack's own session.
        let options = server == .v18 ? "PGOPTIONS=''-c event_triggers=off'' " : ""
        let client = "\(options)\(server.bin)/psql -h \(cluster.directory) -U postgres -d postgres"
        // Without such a way out the attempt fails; the function hides that.
        try cluster.psql(
            """
            create unlogged table arrived (who text);
            create function attack(who text) returns boolean language plpgsql as $$ begin
                execute format('copy (select 1) to program %L',
                    '\(client) -c "insert into arrived values (''' || who || ''')" >/dev/null');
                return true;
                exception when others then return true; end $$;
            create function attack_as_owner(text) returns boolean security definer language sql as 'select public.attack($1)';
            create table wanted as select 1 n;
            """)
        // The recovered table itself.
        try cluster.psql(
            """
            create function checked(who text, integer) returns boolean immutable language sql
                as $$select public.attack(who)$$;
            create function fired() returns trigger language plpgsql
                as $$begin perform public.attack('trigger of the table'); return new; end$$;
            create table wanted_parts (n integer, m integer generated always as (n + 1) stored) partition by range (n);
            create table wanted_part partition of wanted_parts for values from (0) to (10);
            insert into wanted_parts (n) values (1);
            alter table wanted_parts add check (checked('check', n)), alter n set default length(attack('default')::text);
            create index on wanted_parts (checked('index of the table', n)) where checked('its condition', n);
            create statistics of_wanted on (checked('statistics', n)), n from wanted_parts;
            create trigger fired before insert on wanted_parts for each row execute function fired();
            alter table wanted_part enable always trigger fired;
            alter table wanted_parts enable row level security; alter table wanted_parts force row level security;
            create policy p on wanted_parts using (checked('policy of the table', n));
            create view wanted_view as select *, attack('view of the table') from wanted_parts;
            create rule copied as on insert to wanted_parts where attack('rule') do also select 1;
            truncate arrived;
            """)
        func arrived() throws -> String { try cluster.psql("select string_agg(distinct who, ' ') from arrived") }
        #expect(try cluster.psql("select attack('control')") == "t")
        try #require(try arrived() == "control", "the attack works")
        try site.tidemark(["backup"], expectSuccess: true)
        let hasAmcheck = try cluster.psql("select count(*) from pg_available_extensions where name = 'amcheck'") == "1"
        for plant in Self.plants
        where plant.server.rawValue <= server.rawValue && (hasAmcheck || plant.name != "amcheck") {
            try cluster.psql(plant.sql)
        }
        try cluster.psql("select 1 = 1")
        try site.archiveEverything()
        // The same code runs in the living server.
        try cluster.psql(
            """
            drop event trigger of_commands; drop event trigger of_drops; drop event trigger if exists of_sessions;
            truncate arrived
            """)
        try #require(try arrived() == "")
        let drill = try site.tidemark(["drill"])
        #expect(drill.output.contains("The drill passed."), "\(drill.errors)\(drill.output)")
        #expect(try arrived() == "", "of the drill")
        let table = try site.tidemark(
            ["recover-table", "--table", "postgres.public.wanted", "--target", "latest", "--into-table=public.again"])
        #expect(table.ending == .exited(0), "\(table.errors)\(table.output)")
        #expect(try arrived() == "", "of the table's recovery")
        // Without the parts that belong to the table, none of its code runs in the living server.
        let parts = try site.tidemark([
            "recover-table", "--table", "postgres.public.wanted_parts", "--target", "latest", "--to-file",
            site.scratch.file("parts.sql"),
        ])
        #expect(parts.ending == .exited(0), "\(parts.errors)\(parts.output)")
        #expect(try arrived() == "", "of the recovery of a table with code of its own")
        #expect(try cluster.psql("select count(*) from again") == "1")
    }
}

import Platform
import Support
import Testing

/// A table recovery leaves everything else unchanged.
@Suite(.serialized) struct UntouchedTests {
    /// Every relation, its file and its content; settings, roles and databases; the timeline.
    private func state(_ shop: Shop, _ tables: [String]) throws -> [String] {
        let names = tables.map { "'\($0)'::regclass" }.joined(separator: ", ")
        return try tables.map { try shop.fingerprint($0) } + [
            shop.sql(
                """
                select oid, relname, relfilenode, relowner, relacl, relpages, xmin from pg_class c
                where oid in (\(names)) or oid in (select indexrelid from pg_index where indrelid in (\(names))) or relkind in ('S', 'v')
                order by oid
                """),
            shop.sql("select name, setting, source from pg_settings where context <> 'internal' order by name"),
            shop.sql("select oid, datname, datconnlimit from pg_database order by oid"),
            shop.sql("select string_agg(rolname, ',' order by rolname) from pg_roles"),
            shop.sql("select * from pg_stat_archiver"), shop.sql("select timeline_id from pg_control_checkpoint()"),
            shop.sql("select string_agg(slot_name, ',') from pg_replication_slots"),
            // Text files of the data directory: configuration, histories, labels, signals.
            run(
                "/bin/sh",
                [
                    "-c",
                    "cd \(shop.cluster.data) && ls -A && sha256sum *.conf *.auto.conf PG_VERSION && ls pg_wal/*.history",
                ]
            ).output,
        ]
    }

    /// All but the command's traces: its note, and the lock file that kept the backup meanwhile.
    private func repository(_ shop: Shop) throws -> String {
        try run(
            "/bin/sh",
            [
                "-c",
                "cd \(shop.site.repository) && find . -type f ! -path '*/job/*' ! -name .lease | sort | xargs sha256sum",
            ]
        ).output
    }

    @Test(arguments: [[], ["--no-filter-wal"]])
    func `the live server's other tables, its settings and its archive are untouched`(_ options: [String]) throws {
        let shop = try Shop(
            """
            create table orders as select n as id, md5(n::text) as t from generate_series(1, 2000) n; alter table orders add primary key (id);
            create table others as select n as id, md5(n::text) as t from generate_series(1, 2000) n; create index on others (t);
            create sequence numbers; select nextval('numbers'); create view seen as select * from others;
            select pg_create_physical_replication_slot('mine');
            """, settings: ["autovacuum": "off", "shared_preload_libraries": "pg_stat_statements"])
        try shop.backup()
        try shop.sql("update orders set t = 'x'; update others set t = 'y'")
        try shop.sql("vacuum (freeze)")
        try shop.site.archiveEverything()
        try shop.cluster.wait(for: "the archiver to count the last segment") {
            try shop.sql(
                """
                select last_archived_wal || '.done' = (select max(name) from pg_ls_archive_statusdir()) from pg_stat_archiver
                """) == "t"
        }
        let tables = ["orders", "others"]
        let before = try (state(shop, tables), repository(shop))
        #expect(before.1.split(separator: "\n").count > 5)
        let command = ["-t", "shop.public.orders", "--target", "latest"] + options
        try shop.recover(command + ["--to-file", shop.site.scratch.file("orders.sql")])
        try shop.recover(command + ["--diff"])
        try shop.recover(command + ["--into-table=public.again"])
        let after = try (state(shop, tables), repository(shop))
        for (old, new) in zip(before.0, after.0) { #expect(old == new) }
        #expect(before.1 == after.1)
        #expect(try shop.fingerprint("again") == shop.fingerprint("orders"))
    }

    @Test(arguments: ["--into-table=public.again", "--replace"])
    func `killed in the middle of its transaction, it leaves the live tables as they were`(_ destination: String) throws
    {
        let shop = try Shop("create table orders as select n as id, md5(n::text) as t from generate_series(1, 2000) n")
        try shop.backup()
        try shop.site.archiveEverything()
        let place = try Scratch()
        let gate = place.file("gate")
        try shop.sql(
            """
            update orders set t = 'present';
            create function hold() returns event_trigger language plpgsql as $$ begin
                while pg_stat_file('\(gate)', true) is null loop perform pg_sleep(0.05); end loop; end $$;
            create event trigger hold on ddl_command_end when tag in ('CREATE TABLE') execute function hold()
            """)
        let present = try shop.fingerprint("orders")
        let relations = "select oid, relname from pg_class where oid >= 16384 order by oid"
        let before = try shop.sql(relations)
        let script = """
            "$@" >"$STATE/output" 2>&1 & process=$!
            until [ "$(psql -h "$SOCKET" -U postgres -d shop -XAtc "select count(*) from pg_stat_activity where wait_event = 'PgSleep'")" = 1 ]; do
                kill -0 $process || { cat "$STATE/output" >&2; exit 1; }
                sleep 0.02
            done
            kill -s KILL $process
            """
        try runAsServerUser(
            "/bin/bash",
            [
                "-c", script, "bash", Executables.directory.get() + "/tidemark-main", "recover-table", "-t",
                "shop.public.orders", "--target", "latest", destination, "--yes",
            ],
            environment: [
                "TIDEMARK_CONFIG": shop.site.configuration, "STATE": shop.site.scratch.file("state"),
                "SOCKET": shop.cluster.directory, "PATH": "/usr/bin:/bin",
            ])
        try createDurably(gate, bytes: [], mode: 0o644)
        try shop.cluster.wait(for: "the server to miss its client") {
            try shop.sql("select count(*) from pg_stat_activity where application_name = 'tidemark'") == "0"
        }
        #expect(try shop.sql(relations) == before)
        #expect(try shop.fingerprint("orders") == present)
        try shop.sql("drop event trigger hold")
        try shop.recover(["-t", "shop.public.orders", "--target", "latest", destination, "--yes"])
        let name = destination == "--replace" ? "orders" : "again"
        #expect(try shop.sql("select count(*), count(*) filter (where t = md5(id::text)) from \(name)") == "2000|2000")
    }
}

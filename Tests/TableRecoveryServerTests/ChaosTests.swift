import Platform
import Support
import Testing

/// Tables recovered from clusters that do everything PostgreSQL can, during the backup and after.
@Suite(.serialized) struct ChaosTests {
    struct Kind: Sendable, CustomTestStringConvertible {
        let server: TestServer
        let settings: [String: String]
        let initdb: [String]
        var testDescription: String { "\(server) \(settings) \(initdb)" }
    }
    static let kinds = [
        Kind(server: .v15, settings: [:], initdb: []),
        Kind(server: .v16, settings: ["wal_level": "logical", "wal_compression": "on"], initdb: ["--data-checksums"]),
        Kind(server: .v18, settings: [:], initdb: ["--data-checksums", "--wal-segsize=4"]),
    ]

    private static let rows = """
        \\set id random(1, 3000)
        begin;
        update target set t = t || 'x', pieces = :id where id = :id;
        delete from target where id = :id + 3000;
        insert into target (id, t, feeling) values (:id + 3000, repeat(md5(:id::text), 1 + :id % 100), 'bad') on conflict do nothing;
        insert into parts values (1 + :id % 300, 'p' || :id);
        savepoint a; delete from parts where n = :id % 300; rollback to a;
        update hashed set t = md5(:id::text) where n = :id;
        update ginned set a = array[:id, :id + 1] where n = :id;
        delete from bitmapped where n = :id; insert into bitmapped values (:id, 'again');
        end;

        """
    private static let definitions = """
        vacuum hashed;
        vacuum full ginned;
        reindex table hashed;
        begin; truncate bitmapped; rollback;
        create table made as select n, md5(n::text) as t from generate_series(1, 2000) n;
        create index on made using gist (box(point(n, n), point(n, n)));
        drop table made;
        alter table ginned alter column n type bigint;
        cluster bitmapped using bitmapped_n;
        vacuum full pg_attribute;
        vacuum target;
        create database passing strategy file_copy;
        alter table ginned alter column n type int;
        drop database passing;
        reindex table pg_class;
        vacuum full target;
        alter table hashed set unlogged;
        alter table hashed set logged;
        create index concurrently made_later on bitmapped (t);
        drop index made_later;
        refresh materialized view seen;
        alter table ginned set tablespace elsewhere;
        alter table ginned set tablespace pg_default;

        """

    @Test(arguments: TestServer.allCases)
    func `the timeline may change between the backup and the target`(_ server: TestServer) throws {
        let shop = try Shop(
            """
            create table target as select n as id, md5(n::text) as t from generate_series(1, 5000) n;
            create table noise as select n as id, md5(n::text) as t from generate_series(1, 5000) n;
            """, server: server)
        try shop.backup()
        for generation in 1...2 {
            try shop.sql(
                "update target set t = t || '\(generation)' where id % (\(generation) + 2) = 0; update noise set t = t || 'x'"
            )
            try shop.site.archiveEverything()
            // WAL that was not archived is lost with the old timeline; the new one begins in the middle of a segment.
            try shop.sql("update noise set t = 'lost'")
            try shop.cluster.stop(mode: "immediate")
            let restore = "\(try Executables.tidemark()) archive-get --config \(shop.site.configuration) %f %p"
            try shop.cluster.append(
                to: "postgresql.auto.conf", ["restore_command = '\(restore)'", "recovery_target_timeline = 'latest'"])
            try shop.cluster.append(to: "recovery.signal", [])
            try shop.cluster.start()
            try shop.cluster.wait(for: "the promotion") { try shop.sql("select pg_is_in_recovery()") == "f" }
            try shop.sql(
                "update target set t = t || 'p' where id % 11 = \(generation); update noise set t = t || 'y' where id % 2 = 0"
            )
        }
        let expected = try shop.fingerprint("target")
        let target = try shop.moment()
        try shop.sql("drop table target")
        try shop.site.archiveEverything()
        for (name, options) in [("sparse", ["--no-filter-wal"]), ("filtered", [])] {
            let finished = try shop.recover(
                ["-t", "shop.public.target", "--target-time", target, "--into-table=public.\(name)"] + options)
            #expect(!finished.errors.contains("trying again"), "\(finished.errors)")
            #expect(try shop.fingerprint(name) == expected)
        }
        #expect(try shop.sql("select timeline_id from pg_control_checkpoint()") == "3")
    }

    @Test(arguments: kinds)
    func `the WAL between backup and target does not matter`(_ kind: Kind) throws {
        let place = try Scratch()
        let shop = try Shop(
            """
            create type mood as enum ('good', 'bad');
            create table target (id int primary key, t text, feeling mood default 'good', pieces int, twice int generated always as (pieces * 2) stored);
            alter table target alter column t set storage external;
            create index on target using hash (t); create index on target using brin (pieces);
            insert into target select n, repeat(md5(n::text), 1 + n % 100) from generate_series(1, 3000) n;
            create table parts (n int, t text) partition by range (n);
            create table parts1 partition of parts for values from (0) to (150);
            create table parts2 partition of parts for values from (150) to (10000) partition by hash (n);
            create table parts2a partition of parts2 for values with (modulus 2, remainder 0);
            create table parts2b partition of parts2 for values with (modulus 2, remainder 1);
            create table hashed as select n, md5(n::text) as t from generate_series(1, 3000) n; create index on hashed using hash (t);
            create table ginned as select n, array[n, n + 1] as a from generate_series(1, 3000) n; create index on ginned using gin (a);
            create table bitmapped as select n, md5(n::text) as t from generate_series(1, 30000) n;
            create index on bitmapped using brin (n); create index bitmapped_n on bitmapped (n);
            create materialized view seen as select count(*) from target;
            """, server: kind.server,
            settings: ["max_prepared_transactions": "5", "max_wal_size": "256MB"].merging(kind.settings) { $1 },
            initdb: kind.initdb)
        if kind.server == .v18 {
            try shop.cluster.psql("alter system set full_page_writes = off")
            try shop.cluster.psql("select pg_reload_conf()")
        }
        try runAsServerUser("/bin/mkdir", [place.file("space")])
        try shop.cluster.psql("create tablespace elsewhere location '\(place.file("space"))'")
        try createDurably(place.file("rows"), bytes: Array(Self.rows.utf8), mode: 0o644)
        try createDurably(place.file("definitions"), bytes: Array(Self.definitions.utf8), mode: 0o644)
        /// Everything at once, for as long as something else lasts: each script is repeated until that is over, and at
        /// least once.
        func chaos(during work: () throws -> Void) throws {
            let isOver = Monitor(false)
            let threads = try [("rows", 2, 50), ("definitions", 1, 1)].map { (file, clients, times) in
                try Worker {
                    repeat {
                        // A client that loses a deadlock stops; the others continue.
                        _ = try? shop.cluster.pgbench(
                            ["-f", place.file(file), "-c", "\(clients)", "-t", "\(times)"], database: "shop")
                    } while !isOver.update { $0 }
                }
            }
            defer {
                isOver.update { $0 = true }
                for thread in threads { thread.join() }
            }
            try work()
        }
        try chaos {
            try shop.cluster.wait(for: "both scripts to be under way") {
                try shop.sql(
                    """
                    select exists (select from bitmapped where t = 'again')
                    and (select count(*) from pg_stat_activity where application_name = 'pgbench') = 3
                    """) == "t"
            }
            try shop.backup()
        }
        try shop.sql("begin; insert into target (id, t) values (100000, 'in doubt'); prepare transaction 'doubt'")
        let expected = try (shop.fingerprint("target"), shop.fingerprint("parts"))
        try shop.sql("select pg_create_restore_point('there')")
        try shop.sql("commit prepared 'doubt'")
        try runAsServerUser("/bin/mkdir", [place.file("later")])
        try shop.cluster.psql("create tablespace later location '\(place.file("later"))'")
        try shop.sql("create table in_later tablespace later as select n from generate_series(1, 1000) n")
        try chaos {}
        try shop.sql("drop table target cascade; drop table parts cascade")
        try shop.site.archiveEverything()
        let untouched = try shop.fingerprint("in_later") + shop.fingerprint("bitmapped")

        for (schema, options) in [("sparse", ["--no-filter-wal"]), ("filtered", [])] {
            let finished = try shop.recover(
                ["target", "parts"].flatMap { ["-t", "shop.public.\($0)"] }
                    + ["--target-name", "there", "--into-table"] + options)
            #expect(!finished.errors.contains("trying again"), "\(finished.errors)")
            #expect(finished.errors.contains("Prepared transaction \"doubt\""), "\(finished.errors)")
            for (name, content) in [("target", expected.0), ("parts", expected.1)] {
                let new = try shop.restored(name)
                #expect(try shop.fingerprint(new) == content, "\(name)")
                try shop.sql("drop table \(new)")
            }
            // Replay has read the tablespace's creation, and has not written into the live one.
            try shop.recover(
                ["-t", "shop.public.in_later", "--target", "latest", "--into-table=\(schema).in_later"] + options)
            #expect(try shop.fingerprint("\(schema).in_later") == shop.fingerprint("in_later"))
        }
        #expect(try shop.fingerprint("in_later") + shop.fingerprint("bitmapped") == untouched)
    }
}

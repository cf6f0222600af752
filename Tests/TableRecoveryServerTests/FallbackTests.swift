import Platform
import Support
import Testing
import WAL

/// When the cheap way fails, tidemark says so, takes the surer one, and the result is right.
@Suite(.serialized) struct FallbackTests {
    /// Falsifies a backup's relation map: relation `name` of the catalogs looks like a user's table.
    private func disguise(_ name: String, in shop: Shop) throws {
        let changed = try inManifest(
            of: shop.site.repository,
            """
            update relation set oid = oid + 1000000, schema = 'public' where schema = 'pg_catalog' and name = '\(name)'
                and database = (select oid from database where name = 'shop') returning name
            """)
        #expect(changed == name + "\n")
    }

    private func shop() throws -> Shop {
        try Shop(
            """
            create table orders as select n as id, md5(n::text) as t from generate_series(1, 2000) n;
            create table noise as select n as id, md5(n::text) as t from generate_series(1, 20000) n;
            """)
    }

    @Test func `a catalog missing from the selection leads to a full restore`() throws {
        let shop = try shop()
        try shop.backup()
        try disguise("pg_attribute_relid_attnum_index", in: shop)
        try shop.sql("update orders set t = t || 'x'; update noise set t = 'y'; create table later (id int)")
        try shop.site.archiveEverything()
        let finished = try shop.recover(["-t", "shop.public.orders", "--target", "latest", "--into-table=public.again"])
        #expect(finished.errors.contains("Recovery with filtered WAL failed ("), "\(finished.errors)")
        #expect(finished.errors.contains("trying again with unfiltered WAL"), "\(finished.errors)")
        #expect(finished.errors.contains("trying again with everything restored"), "\(finished.errors)")
        #expect(try shop.fingerprint("again") == shop.fingerprint("orders"))
    }

    @Test func `a file that only filtered WAL needs leads to replay of the WAL as it is`() throws {
        let shop = try shop()
        try shop.sql(
            """
            set allow_system_table_mods = on;
            insert into pg_description select 1000000 + n, 'pg_class'::regclass, 0, repeat('x', 1000) from generate_series(1, 2000) n
            """)
        try shop.backup()
        // Large enough for a hole: pg_dump reads no comments in it, and there are none on the table.
        try disguise("pg_description", in: shop)
        try shop.sql("update orders set t = t || 'x'; update noise set t = 'y'")
        try shop.site.archiveEverything()
        let finished = try shop.recover(["-t", "shop.public.orders", "--target", "latest", "--into-table=public.again"])
        #expect(finished.errors.contains("trying again with unfiltered WAL"), "\(finished.errors)")
        #expect(!finished.errors.contains("trying again with everything restored"), "\(finished.errors)")
        #expect(try shop.fingerprint("again") == shop.fingerprint("orders"))
    }

    @Test func `a database made anew under its name after the backup is restored in full`() throws {
        let shop = try shop()
        try shop.backup()
        try shop.cluster.psql("alter database shop rename to old")
        try shop.cluster.psql("create database shop template old strategy file_copy")
        try shop.sql("update orders set t = t || 'x'")
        try shop.site.archiveEverything()
        let finished = try shop.recover(["-t", "shop.public.orders", "--target", "latest", "--into-table=public.again"])
        #expect(finished.errors.contains("trying again with everything restored"), "\(finished.errors)")
        #expect(try shop.fingerprint("again") == shop.fingerprint("orders"))
    }

    @Test func `damage after the target does not matter, damage before it is named`() throws {
        let shop = try Shop(
            "create table orders as select n as id, md5(n::text) as t from generate_series(1, 2000) n",
            initdb: ["--wal-segsize=1"])
        try shop.backup()
        func position() throws -> LSN { try #require(LSN(shop.sql("select pg_current_wal_insert_lsn()"))) }
        try shop.sql("update orders set t = t || 'x'")
        let early = try position()
        try shop.sql("update orders set t = t || 'y'")
        try shop.sql("select pg_switch_wal()")
        try shop.sql("insert into orders values (5000, 'last')")
        let target = try position()
        let expected = try shop.fingerprint("orders")
        try shop.sql("insert into orders values (5001, 'the first that is not wanted')")
        let late = try position()
        try shop.sql("update orders set t = t || 'z' where id < 100")
        try shop.sql("update orders set t = t || 'z' where id < 100")
        try shop.site.archiveEverything()
        let recovery = [
            "-t", "shop.public.orders", "--target-lsn", "\(target)", "--exclusive", "--into-table=public.again",
        ]
        try shop.damageArchived(at: late + 4000)
        let finished = try shop.recover(recovery)
        #expect(!finished.errors.contains("trying again"), "\(finished.errors)")
        #expect(try shop.fingerprint("again") == expected)
        try shop.sql("drop table again")
        try shop.damageArchived(at: early + 4000)
        let refused = try shop.recover(recovery, expectSuccess: false)
        #expect(refused.errors.contains("is damaged at offset"), "\(refused.errors)")
        #expect(try shop.sql("select to_regclass('again') is null") == "t")
    }

    @Test func `the library of a type is looked for before anything is restored`() throws {
        let shop = try Shop(
            "create extension hstore; create table orders (id int, h hstore); create table plain (id int)")
        try shop.backup()
        try shop.site.archiveEverything()
        // Programs without the extension's library.
        let place = shop.site.scratch.file("server")
        let server = shop.cluster.server.bin
        try runAsServerUser(
            "/bin/sh",
            [
                "-c",
                "mkdir -p \(place)/lib && cp -a \(server) \(place)/bin && cp \(server)/../lib/*.so \(place)/lib && rm \(place)/lib/hstore.so",
            ])
        let file = shop.site.scratch.file("x.dump")
        func recover(_ table: String) throws -> Finished {
            try shop.recover(
                [
                    "-t", "shop.public.\(table)", "--target", "latest", "--to-file", file, "--bin-directory",
                    place + "/bin",
                ],
                expectSuccess: false)
        }
        let refused = try recover("orders")
        #expect(refused.errors.contains("the library \"$libdir/hstore\" is missing on this host"), "\(refused.errors)")
        #expect(refused.errors.contains("There is no \"\(place)/lib/hstore.so\""), "\(refused.errors)")
        let other = try recover("plain")
        #expect(other.ending == .exited(0), "\(other.errors)")
    }
}

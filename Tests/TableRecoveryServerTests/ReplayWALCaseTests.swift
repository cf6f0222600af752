import Platform
import Support
import Testing
import WAL

/// What the WAL may hold between the backup and the target, one by one.
@Suite(.serialized) struct ReplayWALCaseTests {
    @Test(arguments: TestServer.allCases)
    func `catalogs rewritten, a database moved to another tablespace, records over several segments`(
        _ server: TestServer
    ) throws {
        let place = try Scratch()
        let shop = try Shop(
            """
            create type mood as enum ('good', 'bad');
            create table orders (id serial primary key, t text, feeling mood default 'good');
            insert into orders (t) select repeat(md5(n::text), 1 + n % 100) from generate_series(1, 3000) n;
            create table noise as select n as id, md5(n::text) as t from generate_series(1, 5000) n; create index on noise (t);
            comment on table orders is 'what they want'
            """, server: server, settings: ["wal_compression": "on"], initdb: ["--wal-segsize=1"])
        try runAsServerUser("/bin/mkdir", [place.file("space")])
        try shop.cluster.psql("create tablespace elsewhere location '\(place.file("space"))'")
        try shop.backup()
        try shop.sql("update orders set t = t || 'x' where id % 3 = 0; update noise set t = t || 'x'")
        // Every catalog, mapped in pg_filenode.map or not, gets new numbers; so does the table itself.
        try shop.sql("vacuum full")
        try shop.sql("reindex database shop")
        try shop.sql("reindex system shop")
        try shop.sql("select pg_logical_emit_message(false, 'long', repeat('m', 2600000))")
        try shop.sql("update orders set feeling = 'bad' where id % 5 = 0; delete from noise where id % 2 = 0")
        try shop.cluster.psql("alter database shop set tablespace elsewhere")
        try shop.sql("update orders set t = 'late' where id < 10")
        try shop.sql("vacuum full pg_depend")
        try shop.sql("vacuum full pg_class")
        let expected = try shop.fingerprint("orders")
        let target = try shop.moment()
        try shop.sql("drop table orders")
        try shop.site.archiveEverything()
        for (name, options) in [("holes", ["--no-filter-wal"]), ("filtered", [])] {
            let finished = try shop.recover(
                ["-t", "shop.public.orders", "--target-time", target, "--into-table=public.\(name)"] + options)
            #expect(!finished.errors.contains("trying again"), "\(finished.errors)")
            #expect(try shop.fingerprint(name) == expected, "\(finished.errors)")
            #expect(try shop.sql("select obj_description('\(name)'::regclass)") == "what they want")
        }
    }

    /// The file number of a dropped table is given to a new one, as after a wraparound of OIDs: in binary upgrade mode
    /// a session chooses it.
    @Test(arguments: [TestServer.v15, .v18])
    func `a file's number may come to another table after it was dropped`(_ server: TestServer) throws {
        let shop = try Shop(
            "create table known as select n as id, md5(n::text) as t from generate_series(1, 5000) n", server: server)
        try shop.backup()
        func number(_ table: String) throws -> String { try shop.sql("select pg_relation_filenode('\(table)')") }
        let known = try number("known")
        // Only the WAL has it.
        try shop.sql("create table passing as select n as id from generate_series(1, 5000) n")
        let passing = try number("passing")
        try shop.sql("drop table known; drop table passing")
        // A checkpoint removes the files themselves.
        try shop.sql("checkpoint")
        try shop.cluster.stop()
        try runAsServerUser(
            server.bin + "/pg_ctl",
            ["-D", shop.cluster.data, "-l", shop.cluster.logFile, "-w", "-t", "300", "-o", "-b", "start"])
        // Minor versions from 2026-11 on give each column a version, and binary upgrade mode wants it, too.
        let wantsVersions = try shop.sql(
            "select count(*) from pg_proc where proname = 'binary_upgrade_set_next_attribute_versions'")
        let versions =
            wantsVersions == "1"
            ? "select binary_upgrade_set_next_attribute_versions(array[pg_current_wal_lsn(), pg_current_wal_lsn()]);"
            : ""
        for (index, (table, number)) in [("first", known), ("second", passing)].enumerated() {
            let oid = 900_000 + index * 10
            try shop.sql(
                """
                \(versions)
                select binary_upgrade_set_next_heap_pg_class_oid('\(oid)'), binary_upgrade_set_next_heap_relfilenode('\(number)'),
                    binary_upgrade_set_next_pg_type_oid('\(oid + 1)'), binary_upgrade_set_next_array_pg_type_oid('\(oid + 2)');
                create table \(table) (id int, n numeric(10));
                insert into \(table) select n, n * 3 from generate_series(1, 700) n;
                """)
        }
        try shop.cluster.restart()
        #expect(try number("first") == known && number("second") == passing)
        try shop.sql("update first set n = 1 where id < 9; update second set n = 2 where id < 9")
        try shop.site.archiveEverything()
        for (schema, options) in [("holes", ["--no-filter-wal"]), ("filtered", [])] {
            for table in ["first", "second"] {
                let finished = try shop.recover(
                    ["-t", "shop.public.\(table)", "--target", "latest", "--into-table=\(schema).\(table)"] + options)
                #expect(try shop.fingerprint("\(schema).\(table)") == shop.fingerprint(table), "\(finished.errors)")
                // The backup's file had been left out, which replay found; the other one had not.
                #expect(
                    finished.errors.contains("replaying again with 1 more") == (table == "first"), "\(finished.errors)")
            }
        }
    }

    @Test func `a dropped database's tables come back into a new one of its name`() throws {
        let shop = try Shop("create table orders as select n as id from generate_series(1, 1000) n")
        try shop.backup()
        try shop.sql("delete from orders where id > 900")
        let expected = try shop.fingerprint("orders")
        let target = try shop.moment()
        try shop.cluster.psql("drop database shop")
        try shop.cluster.psql("create table anything (id int)")
        Clock.sleep(milliseconds: 20)
        let later = try shop.cluster.psql(
            "select to_char(clock_timestamp() at time zone 'UTC', 'YYYY-MM-DD HH24:MI:SS.US+00')")
        try shop.cluster.psql("create table anything_else (id int)")
        try shop.site.archiveEverything()
        let command = ["--database", "shop", "--target-time", target]
        let refused = try shop.recover(command + ["--into-table"], expectSuccess: false)
        #expect(
            refused.errors.contains("ERROR:  database \"shop\" does not exist in the live cluster"), "\(refused.errors)"
        )
        #expect(refused.errors.contains("Create it with CREATE DATABASE, or recover into a file"), "\(refused.errors)")
        try shop.recover(command + ["--to-file", shop.site.scratch.file("shop.dump")])
        try shop.cluster.psql("create database shop")
        let finished = try shop.recover(command + ["--replace", "--yes"])
        #expect(finished.errors.contains("Database \"shop\" was dropped just then"), "\(finished.errors)")
        #expect(!finished.errors.contains("trying again"), "\(finished.errors)")
        #expect(try shop.fingerprint("orders") == expected, "\(finished.errors)")
        // Without a time; and after the time of the drop, the table was gone.
        let dropped = try shop.recover(["-t", "shop.public.orders", "--before-drop", "--into-table=public.again"])
        #expect(dropped.errors.contains("database \"shop\" was dropped by transaction"), "\(dropped.errors)")
        #expect(try shop.fingerprint("again") == expected)
        let gone = try shop.recover(
            ["-t", "shop.public.orders", "--target-time", later, "--to-file", shop.site.scratch.file("x")],
            expectSuccess: false)
        #expect(gone.errors.contains("database \"shop\" did not exist at the target"), "\(gone.errors)")
    }

    /// Without the extension that wrote it no server can replay it, whichever files are restored.
    @Test func `a record of an extension's own kind ends recovery at once`() throws {
        let shop = try Shop(
            "create table orders as select n as id from generate_series(1, 1000) n", initdb: ["--wal-segsize=1"])
        try shop.backup()
        let marks = (0..<5).map { "a mark of the test, number \($0)" }
        let before = try #require(LSN(shop.sql("select pg_current_wal_insert_lsn()")))
        for mark in marks { try shop.sql("select pg_logical_emit_message(false, '\(mark)', 'x')") }
        let expected = try shop.fingerprint("orders")
        try shop.site.archiveEverything()
        func recover() throws -> Finished {
            try shop.recover(
                ["-t", "shop.public.orders", "--target", "latest", "--into-table=public.again"], expectSuccess: false)
        }
        #expect(try recover().ending == .exited(0))
        #expect(try shop.fingerprint("again") == expected)
        try shop.sql("drop table again")
        // One of the messages (at most one lies across a page boundary) gets an unknown resource manager.
        try shop.changeArchived(at: before) { bytes, _ in
            for mark in marks {
                // Record header, header of the main data, and xl_logical_message before its text.
                guard let text = bytes.firstRange(of: Array(mark.utf8))?.lowerBound, bytes[text - 50 + 17] == 21 else {
                    continue
                }
                let start = text - 50
                bytes[start + 17] = 128
                let end = start + Int(bytes[start]) + Int(bytes[start + 1]) << 8
                let sum = crc32c(bytes[start + 24..<end] + bytes[start..<start + 20])
                for index in 0..<4 { bytes[start + 20 + index] = UInt8(truncatingIfNeeded: sum >> (8 * UInt32(index))) }
                return
            }
            throw Problem("no message was found")
        }
        let refused = try recover()
        #expect(refused.ending == .exited(1))
        #expect(refused.errors.contains("resource manager with ID 128 not registered"), "\(refused.errors)")
        #expect(
            refused.errors.contains(
                "HINT:  An extension writes its own kind of WAL records; recover the whole cluster"),
            "\(refused.errors)")
        #expect(!refused.errors.contains("trying again"), "\(refused.errors)")
        try shop.site.recoverWhole(as: refused)
        #expect(try shop.sql("select to_regclass('again') is null") == "t")
    }

    private func crc32c(_ bytes: ArraySlice<UInt8>) -> UInt32 {
        ~bytes.reduce(UInt32.max) { state, byte in
            (0..<8).reduce(state ^ UInt32(byte)) { state, _ in state >> 1 ^ (state & 1 == 1 ? 0x82F6_3B78 : 0) }
        }
    }
}

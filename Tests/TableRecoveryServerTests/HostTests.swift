import Glibc
import Platform
import Support
import Testing

/// What this host lacks is found before anything is restored, unless it isn't needed.
@Suite(.serialized) struct HostTests {
    @Test func `a place that is too small is refused, and one that fills up is not tried again`() throws {
        try #require(geteuid() == 0, "mounting a small file system needs root")
        let shop = try Shop(
            "create table orders as select n as id, repeat('x', 200) as t from generate_series(1, 2000) n")
        try shop.backup()
        try shop.sql("update orders set t = t || 'y'")
        try shop.site.archiveEverything()
        let place = try Scratch()
        let disk = place.file("disk")
        try Files.makeDirectories(disk, mode: 0o777)
        func mount(_ arguments: [String]) throws {
            let mounted = try run("/bin/mount", arguments + [disk])
            try #require(mounted.ending == .exited(0), "\(mounted.errors)")
        }
        try mount(["-t", "tmpfs", "-o", "size=8m,mode=0777", "tidemark-test"])
        defer { _ = try? run("/bin/umount", ["-l", disk]) }
        let file = shop.site.scratch.file("orders.dump")
        let command = [
            "-t", "shop.public.orders", "--target", "latest", "--to-file", file, "--scratch-directory", disk,
        ]
        let refused = try shop.recover(command, expectSuccess: false)
        #expect(refused.ending == .exited(1))
        #expect(refused.errors.contains("ERROR:  not enough space in \"\(disk)/tidemark-table-"), "\(refused.errors)")
        #expect(refused.errors.contains(" MB are needed; 7 MB are free."), "\(refused.errors)")
        #expect(refused.errors.contains("or name another place with --scratch-directory"), "\(refused.errors)")
        #expect(!refused.errors.contains("trying again"), "\(refused.errors)")
        #expect(try Files.list(disk) == [])

        // There is room, until another file takes it while the server starts.
        try mount(["-o", "remount,size=90m"])
        let filled = try Gate(at: "open:/server.log").run(
            Executables.directory.get() + "/tidemark-main", ["recover-table"] + command,
            environment: ["TIDEMARK_CONFIG": shop.site.configuration],
            meanwhile: "dd if=/dev/zero of='\(disk)/filler' bs=64k 2>/dev/null")
        #expect(filled.ending == .exited(1))
        #expect(filled.errors.contains("No space left on device"), "\(filled.errors)")
        #expect(
            filled.errors.contains("HINT:  Free space, or name another place with --scratch-directory."),
            "\(filled.errors)")
        #expect(!filled.errors.contains("trying again"), "\(filled.errors)")
        #expect(try Files.list(disk) == ["filler"])
        #expect(try !Files.exists(file))
    }

    /// Debian's server supports ICU; the others were built without.
    @Test(arguments: TestServer.allCases)
    func `locales, ICU and libraries that this host lacks are named beforehand, on every version`(_ server: TestServer)
        throws
    {
        let shop = try Shop("create table orders (id int); insert into orders values (1)", server: server)
        try shop.backup()
        try shop.site.archiveEverything()
        let file = shop.site.scratch.file("x.dump")
        func recover() throws -> Finished {
            try shop.recover(
                ["-t", "shop.public.orders", "--target", "latest", "--to-file", file], expectSuccess: false)
        }
        func refused(_ change: String, _ message: String, _ detail: String, _ hint: String) throws {
            try Files.removeIfPresent(file)
            try inManifest(of: shop.site.repository, change)
            let finished = try recover()
            #expect(finished.ending == .exited(1))
            for sign in ["ERROR:  \(message)", "DETAIL:  \(detail)", "HINT:  \(hint)"] {
                #expect(finished.errors.contains(sign), "\(sign): \(finished.errors)")
            }
        }
        let database = "(select oid from database where name = 'shop')"
        try refused(
            "update locale set ctype = 'tlh_QX.UTF-8' where database = \(database)",
            "this host does not know the locale \"tlh_QX.UTF-8\"",
            "Database \"shop\" was created with it; no server here can open the database.",
            "Install it: \"localedef -i tlh_QX -f UTF-8 tlh_QX.UTF-8\", or the locales package.")
        try inManifest(
            of: shop.site.repository, "update locale set ctype = 'C', provider = 'i' where database = \(database)")
        if server == .v15 {
            #expect(try recover().ending == .exited(0))
        } else {
            try refused(
                "", "the server programs in \"\(server.bin)\" cannot use ICU",
                "Database \"shop\" compares texts with ICU; no server without it can open the database.",
                "Name programs that were built with ICU with --bin-directory.")
        }
        try refused(
            """
            update locale set provider = 'c';
            insert into library select database, oid, '$libdir/nowhere' from relation where name = 'orders'
            """, "the library \"$libdir/nowhere\" is missing on this host", "Table \"public.orders\" needs it",
            "Install the extension's package for PostgreSQL \(server.rawValue).")
        try inManifest(of: shop.site.repository, "delete from library")
        try Files.removeIfPresent(file)
        #expect(try recover().ending == .exited(0))
    }

    @Test func `a backup records what its databases and tables need of a host`() throws {
        let shop = try Shop(
            """
            create extension hstore; create extension bloom; create type pair as (h hstore);
            create domain pairs as pair[]; create table nested (p pairs); create table indexed (a int);
            create index on indexed using bloom (a); create table plain (a int)
            """)
        try shop.cluster.psql(
            "create database icu locale_provider icu icu_locale 'en' locale 'C.UTF-8' template template0")
        try shop.backup()
        let told = try inManifest(
            of: shop.site.repository,
            """
            select name, provider from database join locale on oid = database order by name;
            select name, path from library l join relation r on (l.database, relation) = (r.database, oid) order by 1
            """)
        #expect(
            told == """
                icu i
                postgres c
                shop c
                template0 c
                template1 c
                indexed $libdir/bloom
                nested $libdir/hstore

                """)
    }

    @Test func `libraries that only sessions load, or the original's server, are not needed`() throws {
        let shop = try Shop(
            "create table orders (id int); insert into orders values (1)",
            settings: ["shared_preload_libraries": "pg_stat_statements"])
        try shop.backup()
        // For a while nobody can connect to the database.
        try shop.sql(
            "alter database shop set session_preload_libraries = 'nowhere'; alter database shop set local_preload_libraries = 'nowhere'"
        )
        let target = try shop.cluster.psql("select pg_switch_wal()")
        try shop.cluster.psql("alter database shop reset all")
        try shop.site.archiveEverything()
        let server = shop.cluster.server.bin
        let place = shop.site.scratch.file("server")
        try runAsServerUser(
            "/bin/sh",
            [
                "-c",
                """
                mkdir -p \(place)/lib && cp -a \(server) \(place)/bin && cp \(server)/../lib/*.so \(place)/lib &&
                    rm \(place)/lib/pg_stat_statements.so
                """,
            ])
        let finished = try shop.recover([
            "-t", "shop.public.orders", "--target-lsn", target, "--exclusive", "--into-table=public.again",
            "--bin-directory", place + "/bin",
        ])
        #expect(!finished.errors.contains("trying again"), "\(finished.errors)")
        #expect(try shop.fingerprint("again") == shop.fingerprint("orders"))
    }
}

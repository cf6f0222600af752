import Platform
import Support
import Testing

/// Targets that are found in the archive.
@Suite(.serialized) struct DropServerTests {
    @Test(arguments: TestServer.allCases)
    func `a dropped table and a dropped database come back, with everything until just before`(
        _ server: TestServer
    ) throws {
        let site = try TestSite(server, initdb: ["--wal-segsize=1"])
        try site.cluster.psql("create table orders as select n from generate_series(1, 500) n")
        try site.cluster.psql("create database shop")
        try site.cluster.psql("create table stock as select n from generate_series(1, 300) n", database: "shop")
        try site.tidemark(["backup"], expectSuccess: true)
        try site.cluster.psql("insert into orders select n from generate_series(501, 600) n")
        try site.cluster.psql("insert into stock select n from generate_series(301, 333) n", database: "shop")
        try site.cluster.psql("drop table orders")
        try site.cluster.psql("insert into stock values (334)", database: "shop")
        try site.cluster.psql("drop database shop")
        try site.cluster.psql("create table later ()")
        try site.archiveEverything()

        let table = try RecoveredDirectory(site)
        var finished = try table.recover(["--before-drop", "postgres.public.orders"])
        #expect(finished.ending == .exited(0), "\(finished.errors)")
        #expect(finished.errors.contains("was dropped at"))
        #expect(try table.psql("select count(*) from orders") == "600")

        let database = try RecoveredDirectory(site)
        finished = try database.recover(["--before-drop-database", "shop"])
        #expect(finished.ending == .exited(0), "\(finished.errors)")
        let rows = try runAsServerUser(
            TestServer.v15.bin + "/psql",
            ["-h", database.path, "-U", "postgres", "-d", "shop", "-XAtq", "-c", "select count(*) from stock"])
        #expect(rows.output.trimmed == "334")
        #expect(try database.psql("select to_regclass('orders') is null") == "t")

        finished = try site.tidemark(["plan", "--before-drop", "postgres.public.nothing"])
        #expect(finished.ending == .exited(4))
        #expect(finished.errors.contains("no drop of the tables is in the archive"))
        finished = try site.tidemark(["plan", "--before-drop-database", "nothing"])
        #expect(finished.errors.contains("The backups know the databases"))
    }

    @Test(arguments: TestServer.ends)
    func `a drop on an abandoned timeline is reported, and the target before it is offered`(
        _ server: TestServer
    ) throws {
        let site = try TestSite(server, initdb: ["--wal-segsize=1"])
        try site.cluster.psql("create database gone")
        try site.cluster.psql("create table t (n int)")
        try site.tidemark(["backup"], expectSuccess: true)
        try site.cluster.psql("insert into t values (1)")
        try site.cluster.psql("select pg_create_restore_point('before')")
        try site.cluster.psql("drop table t")
        try site.cluster.psql("drop database gone")
        try site.archiveEverything()
        try site.cluster.stop()
        try site.tidemark(["recover", "--target-name", "before", "--start", "--yes"], expectSuccess: true)
        try site.cluster.psql("insert into t values (2)")
        try site.archiveEverything()
        for (target, words) in [
            (["--before-drop", "postgres.public.t"], "t"), (["--before-drop-database", "gone"], "gone"),
        ] {
            let refused = try site.tidemark(["plan"] + target)
            #expect(refused.ending == .exited(4), "\(refused)")
            #expect(
                refused.errors.contains("no such drop, but timeline 1 has")
                    && !refused.errors.contains("archived already"),
                "\(words): \(refused)")
            let offer = try #require(
                refused.errors.firstMatch(of: /Reachable: (--target-lsn \S+ --exclusive --target-timeline 1)/),
                "\(refused)")
            let options = offer.output.1.split(separator: " ").map(String.init)
            try site.tidemark(["plan"] + options, expectSuccess: true)
            // A plan that names the timeline follows it.
            let asked = try site.tidemark(["plan"] + target + ["--target-timeline", "1"], expectSuccess: true)
            #expect(asked.output.contains("before "), "\(asked)")
        }
        let table = try site.tidemark([
            "recover-table", "--table", "postgres.public.t", "--before-drop", "--into-table=public.old", "--yes",
        ])
        #expect(table.ending == .exited(4) && table.errors.contains("but timeline 1 has"), "\(table)")
        let none = try site.tidemark(["plan", "--before-drop", "postgres.public.never"])
        #expect(none.ending == .exited(4) && none.errors.contains("no drop of the tables is in the archive"), "\(none)")
    }

    @Test func `what is younger than every backup is found, or reported as such, and the target offered`() throws {
        let site = try TestSite(initdb: ["--wal-segsize=1"])
        try site.tidemark(["backup"], expectSuccess: true)
        try site.cluster.psql("create database young")
        try site.cluster.psql("create table t as select n from generate_series(1, 77) n", database: "young")
        try site.archiveEverything()
        var finished = try site.tidemark(["plan", "--before-drop", "young.public.t"])
        #expect(finished.ending == .exited(4))
        #expect(finished.errors.contains("no backup has database \"young\""), "\(finished.errors)")
        #expect(!finished.errors.contains("Reachable"), "\(finished.errors)")

        try site.cluster.psql("drop table t", database: "young")
        try site.cluster.psql("drop database young")
        try site.archiveEverything()
        finished = try site.tidemark(["plan", "--before-drop", "young.public.t"])
        #expect(finished.ending == .exited(4))
        #expect(finished.errors.contains("no backup has database \"young\""), "\(finished.errors)")
        #expect(finished.errors.contains("no backup was taken while it existed"), "\(finished.errors)")
        #expect(finished.errors.contains("Reachable: "), "\(finished.errors)")
        let options = try #require(
            finished.errors.firstMatch(of: /(--target-lsn \S+(?: --exclusive)?)/), "\(finished.errors)"
        ).1.split(separator: " ").map(String.init)
        for options in [options, ["--before-drop-database", "young"]] {
            let copy = try RecoveredDirectory(site)
            let recovered = try copy.recover(options)
            #expect(recovered.ending == .exited(0), "\(recovered.errors)")
            let rows = try runAsServerUser(
                TestServer.v15.bin + "/psql",
                ["-h", copy.path, "-U", "postgres", "-d", "young", "-XAtq", "-c", "select to_regclass('t') is null"])
            #expect(rows.output.trimmed == (options[0] == "--target-lsn" ? "f" : "t"), "\(options): \(rows.errors)")
        }
    }

    @Test(arguments: TestServer.ends)
    func `a drop before the oldest backup is told apart from one in a gap and from none`(_ server: TestServer) throws {
        let site = try TestSite(server, initdb: ["--wal-segsize=1"])
        try site.cluster.psql("create table early (n int)")
        try site.cluster.psql("create database past")
        func drop(_ statement: String) throws -> (from: String, to: String) {
            let now = "select clock_timestamp()"
            let from = try site.cluster.psql(now)
            try site.cluster.psql(statement)
            return (from, try site.cluster.psql(now))
        }
        let early = try drop("drop table early")
        let past = try drop("drop database past")
        try site.archiveEverything()
        try site.cluster.psql("create table hidden (n int)")
        try site.cluster.psql("create database obscure")
        try site.tidemark(["backup"], expectSuccess: true)
        try site.archiveEverything()
        func expect(
            _ command: [String], _ target: [String], _ says: [String], during times: (from: String, to: String)? = nil
        ) throws {
            let refused = try site.tidemark(command + target)
            #expect(refused.ending == .exited(4), "\(target): \(refused)")
            for words in says { #expect(refused.errors.contains(words), "\(target): \(refused)") }
            let isEarly = refused.errors.contains("before the oldest backup")
            #expect(isEarly == (times != nil), "\(target): \(refused)")
            #expect(refused.errors.contains("cannot tell") == says.contains("cannot tell"), "\(refused)")
            guard let times else { return }
            let time = try #require(
                refused.errors.firstMatch(of: /dropped it at (\S+ \S+) \(LSN/), "\(refused)")
            let isThen = "select timestamptz '\(time.output.1)' between '\(times.from)' and '\(times.to)'"
            #expect(try site.cluster.psql(isThen) == "t", "\(refused) \(times)")
        }
        let table = ["recover-table", "--before-drop", "--to-file", site.scratch.file("x.sql"), "-t"]
        for isBroken in [false, true] {
            try expect(
                ["plan"], ["--before-drop", "postgres.public.early"], ["table \"public.early\" was dropped before"],
                during: early)
            try expect(table, ["postgres.public.early"], ["table \"public.early\" was dropped before"], during: early)
            try expect(
                ["plan"], ["--before-drop-database", "past"], ["database \"past\" was dropped before"], during: past)
            let none = isBroken ? ["cannot tell"] : ["no drop of"]
            for target in [["--before-drop", "postgres.public.never"], ["--before-drop-database", "postgres"]] {
                try expect(["plan"], target, none)
            }
            try expect(table, ["postgres.public.never"], none)
            guard !isBroken else { break }
            // The drops of these are in the segment that gets lost.
            let lost = try site.cluster.psql("select pg_walfile_name(pg_current_wal_lsn())")
            try site.cluster.psql("drop table hidden")
            try site.cluster.psql("drop database obscure")
            try site.archiveEverything()
            try site.cluster.psql("create table later ()")
            try site.archiveEverything()
            try site.tidemark(["plan", "--before-drop", "postgres.public.hidden"], expectSuccess: true)
            let found = try run("/usr/bin/find", [site.repository, "-name", "\(lost).zst"]).output
            try runAsServerUser("/bin/rm", [found.trimmed])
            let unknown = ["cannot tell", "segment \"\(lost)\" is "]
            try expect(["plan"], ["--before-drop", "postgres.public.hidden"], unknown)
            try expect(table, ["postgres.public.hidden"], unknown)
            try expect(["plan"], ["--before-drop-database", "obscure"], unknown)
        }
    }
}

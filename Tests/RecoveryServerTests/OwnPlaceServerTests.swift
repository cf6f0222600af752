import Glibc
import Platform
import Support
import Testing

/// A copy touches only its own files: recoveries beside the cluster, standby copies and drills, of a cluster whose
/// configuration and WAL name many places outside its data directory.
@Suite(.serialized) struct OwnPlaceServerTests {
    /// A way to make a copy.
    struct Way: Sendable, CustomTestStringConvertible {
        let name: String
        let arguments: [String]
        /// Whether the copy is thrown away.
        var isPassing: Bool { arguments[0] != "recover" }
        var testDescription: String { name }

        static let all = [
            Way(name: "beside", arguments: ["recover", "--target", "latest"]),
            Way(name: "paused", arguments: ["recover", "--target-name", "end", "--target-action", "pause"]),
            Way(name: "standby", arguments: ["recover", "--target", "latest", "--standby"]),
            Way(name: "drill", arguments: ["drill"]),
            Way(name: "random drill", arguments: ["drill", "--random"]),
            Way(
                name: "a table",
                arguments: ["recover-table", "--table", "postgres.public.in_young", "--target", "latest"]),
        ]
    }

    @Test(arguments: getenv("TIDEMARK_SOAK") == nil ? [TestServer.v15, .v18] : TestServer.allCases)
    func `nothing outside of a copy changes, whatever the original's configuration and WAL name`(
        _ server: TestServer
    ) throws {
        let original = try ReachingCluster(server)
        let (untouched, visitors) = try (original.outside(), original.visitors())
        #expect(visitors > 0)
        let ways = server == .v15 || getenv("TIDEMARK_SOAK") != nil ? Way.all : [Way.all[2], Way.all[3], Way.all[5]]
        for way in ways {
            if way.isPassing {
                let place = try Scratch()
                let file = way.arguments[0] == "drill" ? [] : ["--to-file", place.file("dump")]
                let finished = try original.site.tidemark(way.arguments + file)
                #expect(finished.ending == .exited(0), "\(way.name): \(finished.errors)\(finished.output)")
            } else {
                try original.recover(by: way)
            }
            #expect(try original.outside() == untouched, "\(way.name)")
            #expect(try original.visitors() == visitors, "\(way.name)")
        }
        #expect(untouched.contains("/dropped/PG_") && untouched.contains("/young/PG_"))

        // The original has lost nothing: it starts again.
        try original.site.cluster.start()
        let count = "select count(*) from in_young where i > 0"
        #expect(try original.sql(count, "set enable_seqscan = off", count).trimmed == "9000\n9000")
    }

    @Test func `a standby copy keeps to itself what the original makes later`() throws {
        let site = try TestSite(initdb: ["--wal-segsize=1"])
        try site.tidemark(["backup"], expectSuccess: true)
        try site.archiveEverything()
        let copy = try RecoveredDirectory(site)
        let finished = try copy.recover([
            "--target", "latest", "--standby", "--set", "wal_retrieve_retry_interval=100ms",
        ])
        try #require(finished.ending == .exited(0), "\(finished.errors)\(copy.log)")
        #expect(try copy.psql("show shared_preload_libraries") == "")
        let place = site.scratch.file("later")
        try runAsServerUser("/bin/mkdir", [place])
        try site.cluster.psql("create tablespace later location '\(place)'")
        try site.cluster.psql("create table t tablespace later as select generate_series(1, 1000) n")
        try site.archiveEverything()
        try wait(for: "the standby to follow") { try copy.psql("select to_regclass('t')") == "t" }
        try site.cluster.psql("delete from t where n > 10; checkpoint")
        try site.archiveEverything()
        try wait(for: "the standby to follow") { try copy.psql("select count(*) from t") == "10" }
        try copy.psql("checkpoint")
        try copy.pgControl(["restart"])
        try wait(for: "the standby to be there again") { try copy.psql("select count(*) from t") == "10" }
        let oid = try site.cluster.psql("select oid from pg_tablespace where spcname = 'later'")
        #expect(try FileStatus(ofLinkItself: copy.path + "/pg_tblspc/" + oid)?.kind == .directory)
        let living = try site.cluster.psql("select count(*), pg_relation_size('t') > 0 from t")
        try site.cluster.restart()
        #expect(try site.cluster.psql("select count(*), pg_relation_size('t') > 0 from t") == living)
        try site.cluster.psql("drop table t")
        try site.cluster.psql("drop tablespace later")
        try site.archiveEverything()
        try wait(for: "the standby to drop it, too") {
            try !Files.exists(copy.path + "/pg_tblspc/" + oid)
        }
        #expect(try Files.list(place) == [])
    }

    @Test func `the plan shows where younger tablespaces go, and follows the mapping`() throws {
        let site = try TestSite(initdb: ["--wal-segsize=1"])
        try site.tidemark(["backup"], expectSuccess: true)
        let (young, new) = (site.scratch.file("young"), site.scratch.file("new"))
        try runAsServerUser("/bin/mkdir", [young])
        try site.cluster.psql("create tablespace young location '\(young)'")
        try site.cluster.psql("create table t tablespace young as select generate_series(1, 1000) n")
        try site.archiveEverything()
        let oid = try site.cluster.psql("select oid from pg_tablespace where spcname = 'young'")
        let copy = try RecoveredDirectory(site)
        let to = ["--target", "latest", "--data-directory", copy.path]
        let plan = try site.tidemark(["plan"] + to).output
        #expect(plan.contains("\(young) → \(copy.path)/pg_tblspc/\(oid)"), "\(plan)")
        #expect(plan.contains("Tablespace \(oid) in \"\(young)\" is younger than the backup"), "\(plan)")
        let json = try site.tidemark(["plan", "--json"] + to).output
        #expect(json.contains("\"location\":\"\(young)\"") || json.contains("\"location\" : \"\(young)\""), "\(json)")
        #expect(try !site.tidemark(["plan", "--target", "latest"]).output.contains("pg_tblspc"))
        let other = site.scratch.file("other")
        try runAsServerUser("/bin/cp", ["-a", young, other])
        for (place, says) in [
            (young, "lies in tablespace \"\(young)\""), (other, "It already holds a tablespace of this version"),
        ] {
            let mapping = ["--tablespace-mapping", "\(young)=\(place)"]
            let occupied = try site.tidemark(["recover", "--yes"] + to + mapping)
            #expect(occupied.errors.contains(says), "\(occupied.errors)")
        }

        let finished = try copy.recover(["--target", "latest", "--tablespace-mapping", "\(young)=\(new)"])
        try #require(finished.ending == .exited(0), "\(finished.errors)\(copy.log)")
        #expect(try copy.psql("select count(*), pg_tablespace_location(\(oid)) from t") == "1000|\(new)")
        #expect(try !Files.list(new).isEmpty)
    }

    @Test func `servers and programs that are started know nothing of the caller's secrets`() throws {
        let site = try TestSite(initdb: ["--wal-segsize=1"])
        try site.tidemark(["backup"], expectSuccess: true)
        try site.archiveEverything()
        let copy = try RecoveredDirectory(site)
        let finished = try site.tidemark(
            ["recover", "--data-directory", copy.path, "--yes", "--start", "--target", "latest"],
            environment: [
                "PGPASSWORD": "geheim", "AWS_SECRET_ACCESS_KEY": "geheim", "TIDEMARK_SMTP_PASSWORD": "geheim",
                "PGOPTIONS": "-c geheim.x=1", "TZ": "Asia/Tokyo",
            ])
        try #require(finished.ending == .exited(0), "\(finished.errors)\(copy.log)")
        let process = try Files.readText(copy.path + "/postmaster.pid").split(separator: "\n")[0]
        let environment = try Files.readText("/proc/\(process)/environ").split(separator: "\0")
        #expect(environment.contains("TZ=Asia/Tokyo"))
        #expect(environment.allSatisfy { !$0.contains("geheim") }, "\(environment)")
        let names = Set(environment.map { $0.prefix { $0 != "=" } })
        #expect(
            names.isSubset(of: [
                "PATH", "HOME", "PWD", "USER", "LOGNAME", "SHELL", "LANG", "LANGUAGE", "TZ", "TMPDIR",
                "LD_LIBRARY_PATH",
                // The shell's and PostgreSQL's own.
                "PG_GRANDPARENT_PID", "PGLOCALEDIR", "PGSYSCONFDIR", "PGDATA", "LC_ALL", "LC_COLLATE", "LC_CTYPE",
                "LC_MESSAGES", "LC_MONETARY", "LC_NUMERIC", "LC_TIME",
            ]), "\(names)")
    }
}

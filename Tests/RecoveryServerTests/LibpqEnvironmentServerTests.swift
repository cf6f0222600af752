import Platform
import Support
import Testing

/// What is meant for the user's servers doesn't reach those that tidemark starts, nor tidemark's sessions with them.
@Suite(.serialized) struct LibpqEnvironmentServerTests {
    private static let site = TestSite.shared {
        let site = try TestSite(initdb: ["--wal-segsize=1"])
        try site.cluster.psql("create table t as select generate_series(1, 1000) n")
        try site.tidemark(["backup"], expectSuccess: true)
        try site.archiveEverything()
        let service = "[elsewhere]\nhost=/nowhere\nport=1\nuser=nobody\noptions=-c statement_timeout=1\n"
        try createDurably(site.scratch.file("service.conf"), bytes: Array(service.utf8), mode: 0o644)
        return site
    }

    static let variables = [
        "PGOPTIONS=-c nosuch=1", "PGOPTIONS=-c role=nobody -c search_path=evil -c statement_timeout=1",
        "PGSERVICE=absent", "PGSERVICE=elsewhere", "PGSSLMODE=require", "PGREQUIRESSL=1", "PGCHANNELBINDING=require",
        "PGTARGETSESSIONATTRS=prefer-nobody", "PGUSER=nobody", "PGHOST=/nowhere", "PGHOSTADDR=192.0.2.1", "PGPORT=1",
        "PGPASSFILE=/nowhere", "PGCONNECT_TIMEOUT=soon", "PGTZ=nowhere", "PGDATESTYLE=nonsense", "PGGEQO=perhaps",
        "PGCLIENTENCODING=nonsense", "PGREQUIREAUTH=scram-sha-256", "PGREQUIREPEER=nobody",
        "PGSSLMINPROTOCOLVERSION=nonsense", "PGGSSENCMODE=require",
    ]

    @Test(arguments: variables) func `libpq's environment changes nothing on servers that tidemark starts`(
        _ variable: String
    ) throws {
        let site = try Self.site.get()
        let directory = try RecoveredDirectory(site)
        let parts = variable.split(separator: "=", maxSplits: 1).map(String.init)
        let environment = [parts[0]: parts[1], "PGSERVICEFILE": site.scratch.file("service.conf")]
        let dump = directory.scratch.file("t.dump")
        let commands = [
            ["drill", "--drill-sql", "select count(*) = 1000 from public.t"],
            ["recover-table", "-t", "postgres.public.t", "--target", "latest", "--to-file", dump],
            [
                "recover", "--target", "immediate", "--target-action", "pause", "--data-directory", directory.path,
                "--start", "--yes",
            ],
        ]
        for command in commands {
            let done = try site.tidemark(command, environment: environment)
            #expect(done.ending == .exited(0), "\(command[0]): \(done)")
        }
        #expect(try directory.psql("select pg_is_wal_replay_paused()") == "t")
    }

    @Test func `role, database and password may come from the environment for a recovered server`() throws {
        let site = try TestSite(initdb: ["--wal-segsize=1"])
        try site.cluster.psql("create role app login password 'p4ssword-of-app'; grant pg_monitor to app")
        try site.cluster.psql("create database shop")
        let rules = "local all app scram-sha-256\nlocal all all trust\n"
        try replaceDurably(site.cluster.data + "/pg_hba.conf", bytes: Array(rules.utf8), mode: 0o644)
        try site.tidemark(["backup"], expectSuccess: true)
        try site.archiveEverything()
        let directory = try RecoveredDirectory(site)
        let done = try site.tidemark(
            [
                "recover", "--target", "immediate", "--target-action", "pause", "--data-directory", directory.path,
                "--start", "--yes", "--conninfo", "host=\(site.cluster.directory)", "--json",
            ], environment: ["PGUSER": "app", "PGDATABASE": "shop", "PGPASSWORD": "p4ssword-of-app"])
        #expect(done.ending == .exited(0), "\(done)")
        #expect(try RecoverAnswer(done.output).state == "paused")
        let log = try Files.readText(directory.path + "/tidemark-recovery.log")
        #expect(!log.contains("FATAL"), "\(log)")
    }
}

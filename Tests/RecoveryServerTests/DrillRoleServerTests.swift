import Platform
import Postgres
import Recovery
import Support
import Testing

/// A drill sees everything, whichever role `conninfo` names.
@Suite struct DrillRoleServerTests {
    struct Case: CustomStringConvertible, Sendable {
        let description: String
        /// SQL before the backup, after it, and after the drill's target.
        var before = "", after = "", later = ""
        /// Further parts of `conninfo` beside the role.
        var further = ""
        var environment: [String: String] = [:]
        var finds = "The drill passed."
    }

    private static let role = "create role least login"
    static let cases: [Case] = [
        Case(description: "may read no table", before: role),
        Case(description: "was made after the target", later: role),
        Case(description: "was made between backup and target", after: role),
        Case(
            description: "was dropped since the backup, and made again", before: role, after: "drop role least",
            later: role),
        Case(
            description: "may not connect to the database",
            before: "\(role); revoke connect on database postgres from public"),
        Case(description: "may have one session", before: "\(role) connection limit 1"),
        Case(description: "could not log in then", before: "create role least", later: "alter role least login"),
        Case(
            description: "knows a superuser who had another name at the backup", before: role,
            after: "create role admin superuser login; alter role postgres nologin",
            later: "alter role postgres login"),
        Case(
            description: "wants of the server what this one lacks", before: role,
            further: "channel_binding=require sslmode=require requirepeer=somebody",
            environment: ["PGCHANNELBINDING": "require", "PGSSLMODE": "require"]),
        Case(
            description: "is led by its environment to another server", before: role,
            environment: [
                "PGHOSTADDR": "127.0.0.1", "PGTARGETSESSIONATTRS": "read-only", "PGREQUIREPEER": "somebody",
            ]),
        Case(
            description: "has its own search_path", before: "\(role); alter role least set search_path = 'own'"),
        Case(
            description: "has a comma in its search_path",
            before: #"\#(role); create schema "one, two"; alter role least set search_path = "one, two", own"#),
        Case(
            description: "may take a few milliseconds",
            before: "\(role); create table own.big as select generate_series(1, 300000) n; "
                + "create index on own.big (n); alter database postgres set statement_timeout = '5ms'; "
                + "alter role postgres set statement_timeout = 0"),
        // Without another role the role itself looks, and the drill names what it may not see.
        Case(
            description: "is alone", before: role, after: "alter role postgres nologin",
            later: "alter role postgres login",
            finds: "PROBLEM: Counting own.t failed: permission denied for schema own."),
    ]

    @Test(arguments: cases)
    func `a drill checks everything, though its role`(_ sample: Case) throws {
        let site = try TestSite(
            initdb: ["--wal-segsize=1"],
            configuration: [
                "drill_min_rows = 'own.t=10'",
                "drill_sql = 'select count(*) = 10 from \(sample.description.contains("search_path") ? "" : "own.")t'",
            ])
        // A session that stays connected, since nobody may log in for a while.
        let administrator = try Connection(site.cluster.conninfo)
        try administrator.execute("create schema own; create table own.t as select generate_series(1, 10) n")
        try administrator.execute(sample.before)
        try site.tidemark(["backup"], expectSuccess: true)
        try administrator.execute(sample.after)
        try administrator.execute("select pg_create_restore_point('there')")
        try administrator.execute(sample.later)
        try site.archiveEverything()
        let conninfo = site.cluster.conninfo.replacing("user=postgres", with: "user=least") + " " + sample.further
        let drill = try site.tidemark(
            ["drill", "--target-name", "there", "--conninfo", conninfo], environment: sample.environment)
        #expect(drill.output.contains(sample.finds), "\(drill.errors)\(drill.output)")
        #expect(try Files.list(site.scratch.file("state/scratch")) == [])
    }

    /// As docs/start.md leaves it: libpq takes the database that is named like the role.
    @Test(arguments: ["host=DIRECTORY", "host=DIRECTORY user=postgres", "service=live"])
    func `a drill checks the database that conninfo means without naming it`(_ form: String) throws {
        let site = try Self.plain.get()
        let conninfo = form.replacing("DIRECTORY", with: site.cluster.directory)
        let drill = try site.tidemark(
            ["drill", "--conninfo", conninfo, "--drill-sql", "select count(*) = 10 from public.t"],
            environment: ["PGSERVICEFILE": site.scratch.file("service.conf")])
        #expect(drill.ending == .exited(0) && drill.output.contains("The drill passed."), "\(drill)")
    }

    private static let plain = TestSite.shared {
        let site = try TestSite(initdb: ["--wal-segsize=1"])
        try site.cluster.psql("create table t as select generate_series(1, 10) n")
        try site.tidemark(["backup"], expectSuccess: true)
        try site.archiveEverything()
        let service = "[live]\nhost=\(site.cluster.directory)\nuser=postgres\n"
        try createDurably(site.scratch.file("service.conf"), bytes: Array(service.utf8), mode: 0o644)
        return site
    }

    @Test func `statements for a temporary server run in no other that answers`() throws {
        let cluster = try TestCluster()
        let failure = #expect(throws: ConnectionFailure.self) {
            try OwnServerRole.open([nil], of: "/nowhere") { _ throws(ConnectionFailure) in
                try Connection(cluster.conninfo)
            }
        }
        #expect(
            failure?.reason.contains("answers instead of that of \"/nowhere\"") == true,
            "\(String(describing: failure))")
        let found = try OwnServerRole.open([nil], of: cluster.data + "/.") { _ throws(ConnectionFailure) in
            try Connection(cluster.conninfo)
        }
        #expect(found.session.isAlive)
    }
}

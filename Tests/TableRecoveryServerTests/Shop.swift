import Platform
import Support

/// A cluster with a database "shop" that archives, and what tests do with it.
final class Shop: Sendable {
    let site: TestSite
    var cluster: TestCluster { site.cluster }
    let database: String

    init(
        _ statements: String..., server: TestServer = .v15, database: String = "shop", settings: [String: String] = [:],
        initdb: [String] = []
    ) throws {
        site = try TestSite(server, settings: settings, initdb: initdb)
        self.database = database
        try cluster.psql("create database \"\(database)\"")
        for statement in statements { try sql(statement) }
    }

    /// A shop in the database "shop" of an existing site.
    init(_ site: TestSite) { (self.site, database) = (site, "shop") }

    @discardableResult
    func sql(_ text: String) throws -> String { try cluster.psql(text, database: database) }

    func backup() throws { try site.tidemark(["backup"], expectSuccess: true) }

    /// A time between everything before and everything after.
    func moment() throws -> String {
        Clock.sleep(milliseconds: 20)
        let time = try sql("select to_char(clock_timestamp() at time zone 'UTC', 'YYYY-MM-DD HH24:MI:SS.US+00')")
        Clock.sleep(milliseconds: 20)
        return time
    }

    /// A hash of a table's content.
    func fingerprint(_ table: String, _ columns: String = "t::text") throws -> String {
        try sql(
            "select count(*) || ' ' || coalesce(md5(string_agg(\(columns), ',' order by \(columns))), '') from \(table) t"
        )
    }

    /// Runs recover-table; whatever it does, nothing of the temporary cluster may remain, nor may it have archived
    /// anything.
    @discardableResult
    func recover(_ arguments: [String], expectSuccess: Bool = true) throws -> Finished {
        let before = try archivedTimelines()
        let finished = try site.tidemark(["recover-table"] + arguments, expectSuccess: expectSuccess)
        guard try archivedTimelines() == before else { throw Problem("the temporary cluster has archived") }
        let left = try Files.listIfPresent(site.scratch.file("state") + "/scratch")
        guard left.isEmpty else { throw Problem("the temporary cluster is still there: \(left)") }
        return finished
    }

    /// A promoted server that archives would begin a timeline.
    private func archivedTimelines() throws -> [String] {
        try Files.list(site.repository + "/main").flatMap { incarnation in
            try Files.listIfPresent("\(site.repository)/main/\(incarnation)/wal").map { incarnation + "/" + $0 }
        }.sorted()
    }

    /// The new table that --into-table made of `name`.
    func restored(_ name: String) throws -> String {
        try sql(
            "select quote_ident(nspname) || '.' || quote_ident(relname) from pg_class c join pg_namespace n on n.oid = relnamespace "
                + "where relkind in ('r', 'p') and relname ~ '^\(name)_[0-9]{8}t[0-9]{6}z$'")
    }
}

extension TestSite {
    /// Executes what a refusal of `recover-table` offers in its place.
    func recoverWhole(as refused: Finished) throws {
        guard let offered = refused.errors.firstMatch(of: /"tidemark (recover [^"]*)"/)?.output.1 else {
            throw Problem("nothing is offered: \(refused)")
        }
        let directory = scratch.file("whole")
        let words = offered.replacing("PATH", with: directory).split(separator: " ").map(String.init)
        try tidemark(words + ["--yes"], expectSuccess: true)
        guard try Files.exists(directory + "/PG_VERSION") else { throw Problem("\(directory) was not recovered") }
    }
}

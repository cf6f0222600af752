import Platform
import Support
import Testing

/// Settings of roles, databases and the server for sessions are made for applications, not for backups.
@Suite struct SessionDefaultsTests {
    private static let settings = [
        "statement_timeout = '1s'", "lock_timeout = '1s'", "idle_in_transaction_session_timeout = '1s'",
        "idle_session_timeout = '1s'", "default_transaction_read_only = on", "default_transaction_deferrable = on",
        "default_transaction_isolation = 'serializable'", "search_path = 'evil'", "datestyle = 'German'",
        "intervalstyle = 'iso_8601'", "bytea_output = 'escape'", "row_security = off",
        "standard_conforming_strings = off", "client_encoding = 'SQL_ASCII'", "client_min_messages = 'error'",
        "quote_all_identifiers = on", "array_nulls = off", "xmloption = 'document'", "transform_null_equals = on",
    ]

    @Test(arguments: [TestServer.v15, .v18])
    func `no default for sessions disturbs tidemark's own`(_ server: TestServer) throws {
        // A checkpoint that is spread over three seconds.
        let site = try TestSite(
            server, settings: ["checkpoint_timeout": "30s", "checkpoint_completion_target": "0.1"],
            initdb: ["--wal-segsize=1"])
        let cluster = site.cluster
        try cluster.psql("create table t as select g, repeat('x', 800) x from generate_series(1, 20000) g")
        try cluster.psql("alter table t add primary key (g)")
        try cluster.psql("create role nobody; create schema evil")
        let settings = Self.settings + (server == .v18 ? ["transaction_timeout = '1s'"] : [])
        func administer(_ sql: String) throws {
            // A connection's options override what role, database and server set.
            let none = settings.map { "-c \($0.prefix { $0 != " " })=\(Self.harmless($0))" }.joined(separator: " ")
            try runAsServerUser(
                server.bin + "/psql", ["-h", cluster.directory, "-U", "postgres", "-XAtq", "-c", sql],
                environment: ["PGOPTIONS": none + " -c role=none"])
        }
        // On the newest version it matters that none of its settings is missing.
        let levels = ["alter role postgres", "alter database postgres", "the server"].suffix(server == .v18 ? 1 : 3)
        for level in levels {
            if level == "the server" {
                try cluster.append(to: "postgresql.conf", settings)
                try administer("select pg_reload_conf()")
            } else {
                let all = level.contains("role") ? settings + ["role = 'nobody'"] : settings
                try administer(all.map { "\(level) set \($0)" }.joined(separator: ";"))
            }
            // Longer than any of the limits: the checkpoint is one statement, and the session is idle while files are
            // copied.
            let backup = try site.tidemark(["backup", "--no-expire", "--spread-checkpoint", "--rate-limit", "8MB"])
            #expect(backup.ending == .exited(0), "\(level): \(backup.errors)")
            let checked = try site.tidemark(["check"])
            #expect(checked.output.contains("A primary answers, PostgreSQL \(server.rawValue)"), "\(level): \(checked)")
            #expect(!checked.output.contains("could not be queried"), "\(level): \(checked)")
            let table = ["recover-table", "-t", "postgres.public.t", "--target", "latest"]
            let name = "public.back_of_\(level.split(separator: " ")[1])"
            for command in [
                table + ["--into-table=\(name)"], table + ["--diff"],
                ["drill", "--drill-sql", "select count(*) = 20000 from public.t"],
            ] {
                let done = try site.tidemark(command)
                #expect(done.ending == .exited(0), "\(level), \(command): \(done)")
            }
            if level != "the server" { try administer("\(level) reset all") }
        }
        let taken = try site.backupLabels()
        #expect(taken.count == levels.count)
    }

    private static func harmless(_ setting: String) -> String {
        if setting.contains("_timeout") { return "0" }
        if setting.hasPrefix("default_transaction_isolation") { return "read\\ committed" }
        if setting.hasPrefix("standard_conforming_strings") || setting.hasPrefix("array_nulls") { return "on" }
        if setting.hasPrefix("xmloption") { return "content" }
        for (name, value) in [("search_path", "public"), ("datestyle", "ISO"), ("intervalstyle", "postgres")]
        where setting.hasPrefix(name) {
            return value
        }
        for (name, value) in [("bytea_output", "hex"), ("client_encoding", "UTF8"), ("client_min_messages", "notice")]
        where setting.hasPrefix(name) {
            return value
        }
        return "off"
    }
}

import Backups
import Platform
import Recovery
import Support
import Testing

/// Settings that a smaller host can't satisfy are reported before the start.
@Suite struct HostDemandsTests {
    private static let small = Host(
        memory: 1 << 30, hugePages: 0, libraryDirectory: "/lib",
        hasFile: { ["/lib/pg_stat_statements.so", "/opt/own.so"].contains($0) }, hasLocale: { $0 != "xx_XX.UTF-8" },
        hasICU: { false })

    struct Row: Sendable, CustomTestStringConvertible {
        let name: String
        let original: [String: String]
        var chosen: [RecoverySetting] = []
        /// Name, collation, character classes.
        var databases: [(String, String, String)] = []
        var provider = "c"
        let says: String?
        var testDescription: String { name }
    }

    @Test(arguments: [
        // 131072 blocks of 8 kB.
        Row(
            name: "too much memory", original: ["shared_buffers": "131072"],
            says: """
                The original has shared_buffers = 1024 MB; this host has 1024 MB of memory. Use less, for example \
                --set shared_buffers=256MB.
                """),
        Row(name: "enough memory", original: ["shared_buffers": "65536"], says: nil),
        Row(
            name: "overridden", original: ["shared_buffers": "131072"],
            chosen: [RecoverySetting("shared_buffers", "256MB")], says: nil),
        Row(
            name: "huge pages", original: ["huge_pages": "on"],
            says: "The original insists on huge pages; this host has none. Use --set huge_pages=off."),
        Row(name: "huge pages if there are any", original: ["huge_pages": "try"], says: nil),
        Row(
            name: "a library", original: ["shared_preload_libraries": "pg_stat_statements, timescaledb"],
            says: """
                The original loads timescaledb at its start (shared_preload_libraries); this host doesn't have it. Install \
                it, or use --set shared_preload_libraries=pg_stat_statements.
                """),
        Row(
            name: "libraries that are there",
            original: ["shared_preload_libraries": "$libdir/pg_stat_statements,/opt/own"],
            says: nil),
        Row(
            name: "a locale", original: ["lc_collate": "xx_XX.UTF-8"],
            says: """
                The original sorts by locale "xx_XX.UTF-8", which this host doesn't have; no one could connect to it. Install \
                the locale, of the same version.
                """),
        Row(
            name: "locales of databases", original: ["lc_collate": "C"],
            databases: [("shop", "xx_XX.UTF-8", "C"), ("blog", "C", "xx_XX.UTF-8"), ("postgres", "C", "C")],
            says: """
                Database blog, shop sorts by locale "xx_XX.UTF-8", which this host doesn't have; no one could connect to it. \
                Install the locale, of the same version.
                """),
        Row(
            name: "ICU", original: [:], databases: [("shop", "C", "C")], provider: "i",
            says: """
                Database shop compares texts with ICU, which the server programs here cannot; no one could connect to it. Name \
                programs that were built with ICU with --bin-directory.
                """),
        Row(
            name: "a locale of messages", original: ["lc_messages": "xx_XX.UTF-8", "lc_time": ""],
            says: """
                The original has lc_messages = xx_XX.UTF-8, a locale that this host doesn't have; the server would not start. \
                Install it, or use --set lc_messages=C.
                """),
        Row(
            name: "a locale of messages, overridden", original: ["lc_messages": "xx_XX.UTF-8"],
            chosen: [RecoverySetting("lc_messages", "C")], says: nil),
        Row(name: "a locale that is there", original: ["lc_collate": "C"], says: nil),
    ])
    func `demands that are too high are named, with the setting that helps`(_ row: Row) {
        let databases = row.databases.map { name, collation, ctype in
            var database = RelationMap.DatabaseRow(oid: 1, name: name)
            database.locale = .init(collation: collation, ctype: ctype, provider: row.provider)
            return database
        }
        let demands = HostDemands(original: row.original, chosen: row.chosen, databases: databases)
        #expect(demands.warnings(on: Self.small) == (row.says.map { [$0] } ?? []))
    }

    @Test func `this host has memory, the locale C, and no locale of that name`() {
        let host = Host.this(binDirectory: "/usr/lib/postgresql/15/bin")
        #expect(host.memory ?? 0 > 1 << 26)
        #expect(host.hasLocale("C"))
        #expect(!host.hasLocale("xx_XX.UTF-8"))
        #expect(host.hasICU())
        #expect(!Host.this(binDirectory: TestServer.v16.bin).hasICU())
        #expect(host.libraryDirectory == "/usr/lib/postgresql/15/lib")
    }

    @Test func `settings with which replay would stop are refused`() throws {
        let original = ["max_connections": "100", "max_worker_processes": "8"]
        let low = [RecoverySetting("max_connections", "20")]
        let problem = try #require(throws: Problem.self) {
            try HostDemands(original: original, chosen: low).refuseTooLow()
        }
        #expect(problem.message == "cannot recover with max_connections = 20")
        #expect(problem.detail?.hasPrefix("The original has 100,") == true)
        #expect(problem.hint?.contains("--set hot_standby=off") == true)
        try HostDemands(original: original, chosen: low + [RecoverySetting("hot_standby", "off")]).refuseTooLow()
        try HostDemands(original: original, chosen: [RecoverySetting("max_connections", "100")]).refuseTooLow()
    }
}

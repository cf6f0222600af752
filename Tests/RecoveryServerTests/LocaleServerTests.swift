import Platform
import Support
import Testing

/// A locale that this host lacks is named before the start, in every version and for every provider.
@Suite(.serialized) struct LocaleServerTests {
    @Test(arguments: TestServer.allCases)
    func `databases whose locale is missing here are named by the plan`(_ server: TestServer) throws {
        let site = try TestSite(server, initdb: ["--wal-segsize=1"])
        try site.cluster.psql("create database plain")
        // The operating system's locale is needed even where another provider sorts.
        let provider =
            switch server {
            case .v15: "locale_provider icu icu_locale 'de-DE'"
            case .v17, .v18: "locale_provider builtin builtin_locale 'C.UTF-8'"
            default: ""
            }
        try site.cluster.psql("create database sorted template template0 \(provider)")
        try site.tidemark(["backup"], expectSuccess: true)
        var plan = try site.tidemark(["plan", "--target", "immediate"], expectSuccess: true)
        #expect(!plan.output.contains("locale"), "\(plan.output)")
        // As if both came from a host with that locale.
        try site.cluster.psql(
            """
            update pg_database set datcollate = 'xx_XX.UTF-8', datctype = 'xx_XX.UTF-8' where datname in ('plain', 'sorted')
            """)
        try site.tidemark(["backup"], expectSuccess: true)
        try site.archiveEverything()
        plan = try site.tidemark(["plan", "--target", "latest"], expectSuccess: true)
        let warning = "Database plain, sorted sorts by locale \"xx_XX.UTF-8\", which this host doesn't have"
        #expect(plan.output.contains(warning), "\(plan.output)")
        for database in ["plain", "sorted"] {
            let refused = try runAsServerUser(
                server.bin + "/psql",
                ["-h", site.cluster.directory, "-U", "postgres", "-d", database, "-Xc", "select 1"],
                expectSuccess: false)
            let says = "database locale is incompatible with operating system"
            #expect(refused.errors.contains(says), "\(refused.errors)")
        }
    }
}

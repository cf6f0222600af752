import Platform
import Support
import Testing

@Suite(.serialized) struct BackupCommandServerTests {
    @Test func `backup takes a backup that list shows`() throws {
        let site = try TestSite()
        try site.cluster.psql("CREATE TABLE t AS SELECT generate_series(1, 1000) i")
        let taken = try site.tidemark(["backup", "--note", "before the 4.2 migration"], expectSuccess: true)
        #expect(taken.output.contains("It can be recovered to any moment from "))
        let listed = try site.tidemark(["list"], expectSuccess: true)
        #expect(listed.output.contains("-full | full | "))
        #expect(listed.output.contains("before the 4.2 migration"))
        let json = try site.tidemark(["list", "--json"], expectSuccess: true)
        #expect(json.output.contains("\"type\" : \"full\""))
    }

    @Test func `an empty repository has no backup`() throws {
        let site = try TestSite()
        let listed = try site.tidemark(["list"], expectSuccess: true)
        #expect(listed.output == "Cluster \"main\" has no complete backup.\n")
        // Nothing can be recovered.
        #expect(try site.tidemark(["window"]).ending == .exited(3))
    }

    struct Refusal: Sendable, CustomTestStringConvertible {
        let name: String
        let arguments: [String]
        let status: Int32
        let says: String
        var testDescription: String { name }
    }

    @Test(arguments: [
        Refusal(
            name: "incremental", arguments: ["--type", "incr"], status: 2,
            says: "incremental backups are not available yet"),
        Refusal(name: "unknown type", arguments: ["--type", "half"], status: 2, says: "option --type takes full"),
        Refusal(
            name: "server not there", arguments: ["--conninfo", "host=/nowhere"], status: 1,
            says: "could not connect to the PostgreSQL server"),
        Refusal(
            name: "another directory", arguments: ["--data-directory", "/nowhere/data"], status: 1,
            says: "could not open file \"/nowhere/data/global/pg_control\""),
    ])
    func `a backup that can't be taken says why`(_ refusal: Refusal) throws {
        let site = try TestSite()
        let finished = try site.tidemark(["backup"] + refusal.arguments)
        #expect(finished.ending == .exited(refusal.status))
        #expect(finished.errors.contains(refusal.says), "\(finished.errors)")
        #expect(try site.tidemark(["list"], expectSuccess: true).output.contains("has no complete backup"))
    }
}

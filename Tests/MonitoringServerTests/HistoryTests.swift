import FoundationEssentials
import Platform
import Support
import Testing

/// The part of a row of `tidemark history --json` that the tests use.
struct HistoryRow: Decodable {
    let job: String
    let result: String
    let exitStatus: Int32
    let message: String?
    let user: String
    let facts: [String: String]
}

@Suite(.serialized) struct HistoryTests {
    static func rows(_ site: TestSite, _ arguments: [String] = []) throws -> [HistoryRow] {
        let output = try site.tidemark(["history", "--json"] + arguments, expectSuccess: true).output
        let decoder = JSONDecoder()
        decoder.keyDecodingStrategy = .convertFromSnakeCase
        return try decoder.decode([HistoryRow].self, from: Data(output.utf8))
    }

    @Test func `a cluster without jobs has no history`() throws {
        let site = try TestSite()
        #expect(try site.tidemark(["history"], expectSuccess: true).output.contains("No jobs are recorded"))
        #expect(try Self.rows(site).isEmpty)
    }

    @Test func `backup, verification and drill are recorded, and the drill shows how long a recovery takes`() throws {
        let site = try TestSite(configuration: [])
        try site.cluster.psql("create table t as select generate_series(1, 1000) n")
        try site.tidemark(["backup"], expectSuccess: true)
        try site.cluster.psql("insert into t values (0)")
        try site.archiveEverything()
        try site.tidemark(["verify"], expectSuccess: true)
        let scratch = site.scratch.file("drills")
        let drill = try site.tidemark(["drill", "--scratch-directory", scratch])
        #expect(drill.ending == .exited(0), "\(drill.errors)")
        let rows = try Self.rows(site)
        #expect(rows.map(\.job) == ["backup", "verify", "drill"] && rows.allSatisfy { $0.result == "success" })
        #expect(rows.allSatisfy { $0.exitStatus == 0 && $0.message == nil })
        #expect(rows[0].facts["label"]?.hasSuffix("-full") == true)
        let seconds = try #require(rows[2].facts["seconds"].flatMap(Double.init))
        #expect(seconds > 0)
        let metrics = try site.tidemark(["check", "--format", "openmetrics"], expectSuccess: true).output
        #expect(metrics.contains("tidemark_rto_seconds{cluster=\"main\"} "))
        #expect(metrics.contains("tidemark_job_last_success{cluster=\"main\",job=\"drill\"} 1"))
        #expect(try site.tidemark(["status"]).output.contains("I would be down   about "))
        #expect(try Self.rows(site, ["--job", "verify"]).map(\.job) == ["verify"])
    }

    @Test func `an expiry that a backup ends with is a job of its own`() throws {
        let site = try TestSite(configuration: ["[retention]", "keep_full = 1"])
        for _ in 0..<2 { try site.tidemark(["backup"], expectSuccess: true) }
        let rows = try Self.rows(site)
        #expect(rows.map(\.job) == ["backup", "expire", "backup", "expire"])
        #expect(rows.map { $0.facts["expired"] } == [nil, "0", nil, "1"])
        // One that can't be read is named, and the others are shown.
        let find = "find \"$0\" -path '*/job/*-expire-*.json' | sort | head -1 | xargs -I {} sh -c 'echo x >\"{}\"'"
        try runAsServerUser("/bin/sh", ["-c", "umask 027; \(find)", site.repository])
        #expect(try Self.rows(site).count == 3)
        let told = try site.tidemark(["history"], expectSuccess: true).errors
        #expect(told.contains("WARNING:") && told.contains("is damaged"), "\(told)")
        for command in [["backup"], ["list"], ["segments"], ["expire"]] {
            try site.tidemark(command, expectSuccess: true)
        }
    }

    @Test func `a kind that does not exist is a usage error with a suggestion`() throws {
        let site = try TestSite(initialize: false)
        let finished = try site.tidemark(["history", "--job", "backups"])
        #expect(finished.ending == .exited(2))
        #expect(finished.errors.contains("Did you mean \"backup\"?"))
    }
}

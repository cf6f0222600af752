import FoundationEssentials
import Platform
import Support
import Testing

/// One row of `tidemark history --json`, as far as the tests look.
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

    @Test func `a cluster nobody did anything with has no history`() throws {
        let site = try TestSite()
        #expect(try site.tidemark(["history"], expectSuccess: true).output.contains("No jobs are recorded"))
        #expect(try Self.rows(site).isEmpty)
    }

    @Test func `a kind that does not exist is a usage error with a suggestion`() throws {
        let site = try TestSite(initialize: false)
        let finished = try site.tidemark(["history", "--job", "backups"])
        #expect(finished.ending == .exited(2))
        #expect(finished.errors.contains("Did you mean \"backup\"?"))
    }
}

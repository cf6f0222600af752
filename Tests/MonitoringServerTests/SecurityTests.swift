import Platform
import Support
import Testing

@Suite(.serialized) struct SecurityTests {
    private static let docs = Files.parent(Files.parent(Files.parent(#filePath))) + "/docs"

    /// The statements of docs/security.md, word for word.
    private static func grants() throws -> String {
        let page = try Files.readText(docs + "/security.md")
        let start = try #require(page.firstRange(of: "```sql\n"))
        let rest = page[start.upperBound...]
        return String(rest[..<(try #require(rest.firstRange(of: "```")).lowerBound)])
    }

    @Test(arguments: [TestServer.v15, .v18])
    func `the role of docs/security.md suffices for backups and checks, and for nothing else`(server: TestServer) throws
    {
        let site = try TestSite(server, settings: ["fsync": "on", "archive_timeout": "1h"])
        try site.cluster.psql(Self.grants())
        try site.cluster.psql("create table secret as select 42 n")
        try site.cluster.psql("create database other")
        let conninfo = "host=\(site.cluster.directory) port=5432 user=tidemark dbname=postgres"
        let backup = try site.tidemark(["backup", "--conninfo", conninfo])
        #expect(backup.ending == .exited(0), "\(backup.errors)")
        try site.archiveEverything()
        let check = try site.tidemark(["check", "--conninfo", conninfo])
        #expect(check.ending == .exited(0), "\(check.output)\(check.errors)")
        let read = try runAsServerUser(
            server.bin + "/psql", ["-X", "-c", "select * from secret", conninfo], expectSuccess: false)
        #expect(read.errors.contains("permission denied for table secret"))
    }

    @Test func `the messages of docs/troubleshooting.md are the program's own`() throws {
        let page = try Files.readText(Self.docs + "/troubleshooting.md")
        let sources = try run("/usr/bin/find", [Files.parent(Self.docs) + "/Sources", "-name", "*.swift"]).output
            .split(separator: "\n").map { try Files.readText(String($0)) }.joined(separator: "\n")
        // In a source, a quoted name is \"\(…)\".
        let plain = sources.filter { $0 != "\\" }
        var count = 0
        for line in page.split(separator: "\n") where line.hasPrefix("**`") {
            let message = line.dropFirst(3).prefix { $0 != "`" }
            // PostgreSQL's own.
            if message.hasPrefix("archive command failed") || message.hasPrefix("permission denied") { continue }
            for part in message.split(separator: "…") where part.count > 8 {
                let words = part.trimmingPrefix("\"").split(separator: "\"").max { $0.count < $1.count } ?? ""
                let isSaid = plain.contains(words)
                #expect(isSaid, "\(message): \(words)")
            }
            count += 1
        }
        #expect(count > 8)
    }
}

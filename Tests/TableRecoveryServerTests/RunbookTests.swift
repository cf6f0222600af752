import Platform
import Support
import Testing

/// docs/table-recovery.md, run from top to bottom.
@Suite(.serialized) struct RunbookTests {
    @Test func `the runbook's commands do what it says`() throws {
        let page = try Files.readText(Files.parent(Files.parent(Files.parent(#filePath))) + "/docs/table-recovery.md")
        var blocks: [String] = []
        var block: String?
        for line in page.split(separator: "\n", omittingEmptySubsequences: false) {
            if line == "```sh" {
                block = ""
            } else if line == "```", let done = block {
                blocks.append(done)
                block = nil
            } else if block != nil {
                block? += line + "\n"
            }
        }
        #expect(blocks.count >= 7)
        let shop = try Shop(
            "create table orders (id int primary key, customer text); insert into orders select n, 'c' || n from generate_series(1, 1000) n"
        )
        try shop.backup()
        let directory = try Executables.directory.get()
        var outputs: [String] = []
        // The time that a reader would take from the application's log.
        var before = ""
        for text in blocks {
            if text.hasPrefix("BEFORE=") { before = try shop.moment() }
            let script = text.split(separator: "\n").filter { !$0.hasPrefix("BEFORE=") }.joined(separator: "\n")
            let finished = try runAsServerUser(
                "/bin/bash", ["-e", "-c", "cd '\(shop.site.scratch.path)'\n" + script],
                environment: [
                    "BEFORE": before,
                    "TIDEMARK_CONFIG": shop.site.configuration, "PGHOST": shop.cluster.directory, "PGUSER": "postgres",
                    "PATH": "\(directory):\(shop.cluster.server.bin):/usr/bin:/bin",
                ])
            outputs.append(finished.output)
        }
        let all = outputs.joined(separator: "\n")
        // Dropped and back; 300 deleted and one added since; back again.
        for sign in [
            "1000 rows in public.orders\n", "1000 rows then, 701 now; 300 missing, 0 changed, 1 added since",
            "300 put back",
            "TABLE DATA public orders",
        ] {
            #expect(all.contains(sign), "\(sign): \(all)")
        }
        #expect(try shop.sql("select count(*), count(distinct customer) from orders") == "1001|1001")
    }
}

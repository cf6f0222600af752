import Platform
import Support
import Testing

struct DemoTests {
    @Test func `the demo tells the whole story, proves it, and leaves nothing behind`() throws {
        let before = Set(try Files.list("/var/tmp").filter { $0.hasPrefix("tidemark-demo-") })
        let finished = try run(DocumentationTests.root + "/docs/demo/demo", [try Executables.directory.get()])
        #expect(finished.ending == .exited(0), "\(finished.output.suffix(3000))\(finished.errors.suffix(3000))")
        #expect(finished.output.contains("$ tidemark backup"))
        #expect(finished.output.contains("$ tidemark plan --target-time "))
        #expect(finished.output.contains("$ tidemark recover --target-time "))
        #expect(finished.output.contains("$ tidemark recover-table --table shop.public.orders --before-drop"))
        #expect(finished.output.split(separator: "\n").count { $0.hasPrefix("proved: ") } >= 5)
        let after = Set(try Files.list("/var/tmp").filter { $0.hasPrefix("tidemark-demo-") })
        #expect(after.subtracting(before).isEmpty)
    }
}

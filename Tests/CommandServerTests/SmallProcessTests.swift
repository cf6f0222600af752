import Platform
import Support
import Testing

/// The commands that people and timers run, with too little memory or stack (ulimit, prlimit(1)).
@Suite(.serialized) struct SmallProcessTests {
    private static let site = TestSite.sharedWithBackup()

    struct Limit: Sendable, CustomTestStringConvertible {
        let resource: String
        let values: [Int]
        var testDescription: String { resource }

        private static let memory = [24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 256, 384].map { $0 << 20 }
        static let all = [
            Limit(resource: "as", values: memory), Limit(resource: "data", values: memory.map { $0 / 4 }),
            Limit(resource: "stack", values: [32, 48, 64, 96, 128, 256, 512].map { $0 << 10 }),
        ]
    }

    @Test(arguments: Limit.all) func `no command dies of a signal`(_ limit: Limit) throws {
        let site = try Self.site.get()
        let program = try Executables.directory.get() + "/tidemark-main"
        for words in [["list"], ["verify"], ["plan", "--target", "latest"], ["backup", "--no-expire"]] {
            for value in limit.values {
                let finished = try runAsServerUser(
                    "/usr/bin/prlimit", ["--\(limit.resource)=\(value)", program] + words,
                    environment: ["TIDEMARK_CONFIG": site.configuration, "TIDEMARK_FAULT": "trace"],
                    expectSuccess: false)
                // What the kernel or the loader ends before the program has begun is beyond it.
                guard finished.errors.contains("trace: ") else { continue }
                let said = finished.errors.split(separator: "\n").filter { !$0.hasPrefix("trace: ") }
                guard case .exited(0...5) = finished.ending else {
                    Issue.record("\(words), \(limit.resource)=\(value): \(finished.ending) \(said)")
                    continue
                }
                if limit.resource == "stack" { #expect(finished.ending == .exited(0), "\(words), \(value): \(said)") }
            }
        }
        try site.tidemark(["clean"], expectSuccess: true)
        try site.tidemark(["verify"], expectSuccess: true)
    }
}

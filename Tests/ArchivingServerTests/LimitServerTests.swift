import Glibc
import Platform
import Support
import Testing
import WAL

/// The commands that PostgreSQL runs, with too little of what a process may have (ulimit, prlimit(1)).
@Suite struct LimitServerTests {
    /// A resource, and what the process may have of it: from nothing to more than enough.
    struct Limit: Sendable, CustomTestStringConvertible {
        let resource: String
        let values: [Int]
        var testDescription: String { resource }

        private static let memory = [1, 2, 4, 6, 8, 10, 12, 16, 20, 24, 28, 32, 48, 64, 96, 128, 256].map { $0 << 20 }

        static let all = [
            // Bytes.
            Limit(resource: "as", values: memory + [512 << 20]), Limit(resource: "data", values: memory),
            Limit(resource: "stack", values: [8, 16, 24, 32, 48, 64, 96, 128, 512].map { $0 << 10 }),
            Limit(resource: "fsize", values: [0, 1, 4096, 100_000]), Limit(resource: "memlock", values: [0]),
            // Numbers.
            Limit(resource: "nofile", values: Array(0...16)), Limit(resource: "nproc", values: [0, 1]),
        ]
    }

    /// How it ended, and whether the program itself had begun: what the kernel or the loader ends before that is
    /// beyond it.
    private func run(_ command: [String], _ limit: String) throws -> (finished: Finished, hasBegun: Bool) {
        let finished = try runAsServerUser(
            "/usr/bin/prlimit", ["--\(limit)", try Executables.tidemark()] + command,
            environment: ["TIDEMARK_FAULT": "trace"], expectSuccess: false)
        return (finished, finished.errors.contains("trace: "))
    }

    @Test(arguments: Limit.all) func `whatever is too little, the exit status is one that PostgreSQL expects`(
        _ limit: Limit
    ) throws {
        let archive = try Archive()
        let segment = archive.origin.segments[0]
        let (path, object) = (archive.origin.wal(segment.description), archive.path(segment))
        let content = try Files.read(path)
        let destination = archive.scratch.file("fetched")
        var failed = 0
        for value in limit.values {
            let said = "\(limit.resource)=\(value)"
            if try Files.exists(object) { try Files.remove(object) }
            let (push, hasPushed) = try run(["archive-push", "--config", archive.configuration, path], said)
            switch push.ending {
            case .exited(0): #expect(try Files.exists(object), "\(said): \(push)")
            case .exited(1...125): if hasPushed { failed += 1 }
            default: #expect(!hasPushed, "\(said): \(push)")
            }
            try archive.push(path, expectSuccess: true)

            try Files.removeIfPresent(destination)
            let call = ["archive-get", "--config", archive.configuration, segment.description, destination]
            let (get, hasGot) = try run(call, said)
            switch get.ending {
            case .exited(0): #expect(try Files.read(destination) == content, "\(said): \(get)")
            case .exited(200): if hasGot { failed += 1 }
            case .exited(126...), .signalled: #expect(!hasGot, "\(said): \(get)")
            case .exited: Issue.record("\(said): \(get)")
            }
            let left = try Platform.run("/usr/bin/find", [archive.repository, "-name", ".*"]).output
            if limit.resource != "as", limit.resource != "data" { #expect(left == "", "\(said)") }
        }
        if !["memlock", "stack", "nproc"].contains(limit.resource) {
            #expect(failed > 0, "\(limit): nothing was too little")
        }
    }
}

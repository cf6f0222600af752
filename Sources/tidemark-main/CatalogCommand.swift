import Catalog
import Configuration
import Operations
import Platform
import WAL

enum CatalogCommand: Command {
    static let grammar = Grammar(
        "catalog", "show or rebuild the local index of the repository",
        description: [
            "The catalog is an SQLite file under state_directory that says what every archived segment contains. Nothing is stored only "
                + "there: it may be deleted at any time, and every command that uses it brings it up to date first."
        ],
        words: [.init("status|rebuild", "what to do")],
        options: [.init("json", "print JSON")],
        examples: [
            Grammar.Example("tidemark catalog status", "whether it is intact, and how large it is"),
            Grammar.Example("tidemark catalog rebuild", "read every segment's head again"),
        ],
        exits: [(3, "the catalog is damaged; the next use rebuilds it")])

    private struct Document: Encodable {
        let path: String
        let size: Int64
        let segments: Int
        let backups: Int
        let timelines: [UInt32]
        let read, gone: Int
        let synchronized: String?
        let problems: [String]
    }

    static func run(_ invocation: Invocation) throws -> ExitStatus {
        let access = try invocation.catalogAccess()
        let catalog = access.catalog
        let (terminal, log) = (invocation.terminal, invocation.log)
        var problems: [String] = []
        switch invocation.arguments.words.first {
        case "status": problems = try catalog.problems()
        case "rebuild": try catalog.startAnew()
        case let word:
            throw UsageError("catalog takes \"status\" or \"rebuild\", not \"\(word ?? "")\"")
        }
        var changes = CatalogChanges()
        if problems.isEmpty {
            defer { terminal.finishProgress() }
            changes = try catalog.synchronize(jobs: access.cluster.jobs) { done, all in
                terminal.progress("reading segments: \(done) of \(all)", log: log)
            }
        }
        let set = problems.isEmpty ? try catalog.segments() : SegmentSet(segmentSize: 16 << 20)
        let document = Document(
            path: catalog.path, size: try FileStatus(ifPresent: catalog.path)?.size ?? 0, segments: set.count,
            backups: access.backups.count, timelines: set.timelines.map(\.rawValue), read: changes.read,
            gone: changes.gone,
            synchronized: try catalog.synchronized()?.iso8601, problems: problems)
        if invocation.json {
            try invocation.print(json: document)
        } else {
            invocation.print("catalog \(catalog.path): \(size(document.size))")
            invocation.print(
                "\(set.count) segments on \(set.timelines.count) timelines, \(access.backups.count) backups; "
                    + "\(changes.read) segments read now, \(changes.gone) gone")
            for problem in problems { log(.error, problem) }
        }
        return problems.isEmpty ? .success : .problemsFound
    }
}

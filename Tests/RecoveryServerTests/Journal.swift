import FoundationEssentials
import Glibc
import Planning
import Platform
import Support
import WAL

/// A workload with its own account: every client numbers its transactions in the table `journal`, and writes to a file
/// when each began and when it was acknowledged.
final class Journal: Sendable {
    struct Entry: Sendable {
        let client: Int
        let number: Int
        let began: Moment
        let acknowledged: Moment
    }
    let site: TestSite
    let folder: Scratch

    init(_ site: TestSite) throws {
        self.site = site
        folder = try Scratch()
        try site.cluster.psql(
            "create table journal (client int, n int, xid xid8, note text default repeat('x', 50), primary key (client, n))"
        )
    }

    /// Lets each client do `transactions`, together 2000 a second; returns what they wrote down, in no order.
    func work(transactions: Int, clients: Int = 4) throws -> [Entry] {
        let script = """
            insert into journal
            select :client_id, coalesce(max(n), 0) + 1, pg_current_xact_id() from journal where client = :client_id;
            """
        let file = folder.file("journal.pgbench")
        try replaceDurably(file, bytes: Array(script.utf8), mode: 0o644)
        // Continue the numbers of an earlier call.
        var numbers = try Dictionary(
            uniqueKeysWithValues: site.cluster.psql("select client, max(n) from journal group by client")
                .split(separator: "\n").map { line in
                    let fields = line.split(separator: "|").compactMap { Int($0) }
                    return (fields[0], fields[1])
                })
        for old in try Files.list(folder.path) where old.hasPrefix("log") { try Files.remove(folder.file(old)) }
        try site.cluster.pgbench([
            "-c", "\(clients)", "-t", "\(transactions)", "-f", file, "-l", "--log-prefix=\(folder.file("log"))", "-R",
            "2000",
        ])
        var entries: [Entry] = []
        for name in try Files.list(folder.path) where name.hasPrefix("log") {
            for line in try Files.readText(folder.file(name)).split(separator: "\n") {
                // client, transaction, microseconds it took, script, end in seconds and microseconds, lag
                let fields = line.split(separator: " ").compactMap { Int64($0) }
                guard fields.count >= 6 else { continue }
                let client = Int(fields[0])
                numbers[client, default: 0] += 1
                let end = fields[4] * 1_000_000 + fields[5]
                entries.append(
                    Entry(
                        client: client, number: numbers[client]!, began: Moment(microseconds: end - fields[2]),
                        acknowledged: Moment(microseconds: end)))
            }
        }
        return entries
    }

    /// What is wrong with a recovered journal, as sentences: every transaction acknowledged by `moment` must be there,
    /// none that began after it may be, and each client's numbers must have no gap.
    static func complaints(_ rows: String, entries: [Entry], at moment: Moment) -> [String] {
        var found: [Int: Set<Int>] = [:]
        for row in rows.split(separator: "\n") {
            let fields = row.split(separator: "|").compactMap { Int($0) }
            found[fields[0], default: []].insert(fields[1])
        }
        var complaints: [String] = []
        for entry in entries {
            let there = found[entry.client]?.contains(entry.number) ?? false
            // pgbench reads the system's clock only once, and a busy machine can delay it by milliseconds there.
            let leeway: Int64 = 50_000
            if entry.acknowledged.microseconds <= moment.microseconds - leeway, !there {
                complaints.append("client \(entry.client) lost \(entry.number), acknowledged at \(entry.acknowledged)")
            }
            if entry.began.microseconds > moment.microseconds + leeway, there {
                complaints.append("client \(entry.client) has \(entry.number), begun at \(entry.began)")
            }
        }
        for (client, numbers) in found where numbers.max() != numbers.count {
            complaints.append("client \(client) has holes")
        }
        return complaints
    }
}

/// A directory that `tidemark recover --start` filled; its server is stopped and it is removed with the object.
final class RecoveredDirectory: Sendable {
    let site: TestSite
    let scratch: Scratch
    var path: String { scratch.file("data") }

    init(_ site: TestSite, in place: String = TestPlace.directory) throws {
        self.site = site
        scratch = try Scratch(in: place)
    }

    deinit {
        _ = try? runAsServerUser(
            site.cluster.server.bin + "/pg_ctl", ["-D", path, "-m", "immediate", "-w", "-t", "300", "stop"],
            expectSuccess: false)
    }

    /// `tidemark recover … --start --yes --json` into the directory.
    func recover(_ arguments: [String], start: Bool = true) throws -> Finished {
        try site.tidemark(
            ["recover", "--data-directory", path, "--yes", "--json"] + (start ? ["--start"] : []) + arguments)
    }

    @discardableResult
    func psql(_ sql: String) throws -> String {
        try runAsServerUser(
            TestServer.v15.bin + "/psql", ["-h", path, "-U", "postgres", "-d", "postgres", "-XAtq", "-c", sql]
        ).output.trimmed
    }
}

extension String {
    var trimmed: String {
        String(drop { $0.isWhitespace }.reversed().drop { $0.isWhitespace }.reversed())
    }
}

/// The fields of `recover --json` that tests read.
struct RecoverAnswer: Decodable {
    struct Plan: Decodable {
        struct Transaction: Decodable {
            let xid: UInt32
            let time: String
        }
        let lastIncluded: Transaction?
        let firstExcluded: Transaction?
        let warnings: [String]
        let settings: [String: String]
    }
    let plan: Plan
    let state: String
    let asPredicted: Bool?
    let archiveHasGrown: Bool?
    let timeline: UInt32?
    let remarks: [String]

    init(_ text: String) throws { self = try RecoverAnswer.decode(RecoverAnswer.self, text) }

    static func decode<Document: Decodable>(_ type: Document.Type, _ text: String) throws -> Document {
        let decoder = JSONDecoder()
        decoder.keyDecodingStrategy = .convertFromSnakeCase
        return try decoder.decode(type, from: Data(text.utf8))
    }
}

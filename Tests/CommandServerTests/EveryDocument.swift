import Platform
import Support
import Testing

/// A site whose repository has objects of every kind: two backups, verified; WAL, some of it put aside; a recovery.
struct EveryDocument {
    let site: TestSite
    /// Of the incarnation.
    let folder: String
    /// Where `recover` restored the newer backup, without starting a server.
    let recovered: String
    /// The newer one last.
    let labels: [String]

    init() throws {
        let site = try TestSite.shared { try TestSite(initdb: ["--wal-segsize=1"]) }.get()
        try site.cluster.psql("create table t as select n, md5(n::text) x from generate_series(1, 20000) n")
        try site.cluster.psql("create table nothing ()")
        for note in ["the older", "the newer"] {
            try site.tidemark(["backup", "--no-expire", "--note", note], expectSuccess: true)
        }
        try site.archiveEverything()
        try site.tidemark(["verify"], expectSuccess: true)
        folder = "\(site.repository)/main/\(try #require(try Files.list(site.repository + "/main").first))"
        let histories = try EveryDocument.files(in: folder).filter { $0.hasSuffix(".backup.zst") }
        let name = try #require(histories.first?.split(separator: "/").last).dropLast(4)
        try site.tidemark(["segments", "put-aside", String(name), "--yes"], expectSuccess: true)
        recovered = site.scratch.file("recovered")
        try site.tidemark(
            ["recover", "--target", "immediate", "--data-directory", recovered, "--yes"], expectSuccess: true)
        labels = try site.backupLabels().sorted()
        // So that a later one finds nothing to remove.
        try site.tidemark(["expire", "--keep-full", "2"], expectSuccess: true)
        self.site = site
    }

    /// Every object, relative to `folder`, in order.
    static func files(in folder: String) throws -> [String] {
        try run("/usr/bin/find", [folder, "-type", "f", "-not", "-name", ".*", "-printf", "%P\\n"]).output
            .split(separator: "\n").map(String.init).sorted()
    }
    func files() throws -> [String] { try Self.files(in: folder) }

    /// The first object whose path contains this, or the last one.
    func path(_ part: String, last: Bool = false) throws -> String {
        let all = try files()
        let found = all.filter { "/\($0)".contains(part) }
        return "\(folder)/\(try #require(last ? found.last : found.first, "\(part) in \(all)"))"
    }

    /// Writes other bytes into an object, and restores it after `body`.
    func with(_ bytes: [UInt8], in path: String, _ body: () throws -> Void) throws {
        let own = try Files.read(path)
        func write(_ bytes: [UInt8]) throws {
            let source = site.scratch.file("bytes")
            try createDurably(source, bytes: bytes, mode: 0o644)
            // Owner and mode stay.
            let written = try run("/bin/dd", ["if=" + source, "of=" + path, "status=none"])
            guard written.ending == .exited(0) else { throw Problem("\(written)") }
            try Files.remove(source)
        }
        try write(bytes)
        defer { #expect(throws: Never.self) { try write(own) } }
        try body()
    }
}

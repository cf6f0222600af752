import Platform
import Support
import Testing

/// docs/repository.md suffices to read a repository without tidemark: a reader in Python that was written from it finds
/// the archived files, restores what tidemark restores, and notices damage; and the page has every key of every
/// document.
@Suite(.serialized) struct IndependentReaderTests {
    private static let made = Result { try EveryDocument() }

    private static let program = "\(DocumentationTests.root)/Tests/reader/read_repository.py"

    private func reader(_ words: String...) throws -> Finished {
        try run("/usr/bin/python3", [Self.program] + words)
    }

    /// A format that needs more to be read is too complicated.
    @Test func `the reader has at most 300 lines`() throws {
        let lines = try Files.readText(Self.program).split(separator: "\n", omittingEmptySubsequences: false)
        try #require(lines.count > 100)
        #expect(lines.last == "" && lines.count - 1 <= 300)
    }

    @Test func `segments and a backup are what the server and tidemark have`() throws {
        let made = try Self.made.get()
        let site = made.site
        let verified = try reader("verify", site.repository)
        #expect(verified.ending == .exited(0), "\(verified)")
        let wal = site.cluster.data + "/pg_wal"
        var compared = 0
        let out = site.scratch.file("segment")
        for file in try made.files() where file.hasPrefix("wal/") && !file.hasSuffix(".backup.zst") {
            let name = String(file.split(separator: "/").last!.dropLast(4))
            let fetched = try reader("segment", "\(made.folder)/\(file)", out)
            try #require(fetched.ending == .exited(0), "\(fetched)")
            let own = try site.tidemark(["archive-get", name, out + ".own"])
            try #require(own.ending == .exited(0), "\(own)")
            let same = try run("/usr/bin/cmp", [out, out + ".own"])
            #expect(same.ending == .exited(0), "\(same)")
            // Recycled files get other names.
            if try Files.exists("\(wal)/\(name)") {
                #expect(try Files.read("\(wal)/\(name)", limit: 1 << 30) == Files.read(out, limit: 1 << 30))
                compared += 1
            }
            _ = try run("/bin/rm", ["-f", out, out + ".own"])
        }
        #expect(compared > 0)

        let restored = site.scratch.file("restored")
        let ended = try reader("backup", made.folder, made.labels[1], restored)
        try #require(ended.ending == .exited(0), "\(ended)")
        let differences = try run("/usr/bin/diff", ["-rq", "--no-dereference", restored, made.recovered]).output
            .split(separator: "\n").map(String.init)
        // Files that recover adds for the server.
        let own = ["postgresql.auto.conf", "recovery.signal", "tidemark"]
        let others = differences.filter { line in !own.contains { line.contains($0) } }
        #expect(others.isEmpty, "\(others.joined(separator: "\n"))")
        #expect(try Files.exists(restored + "/global/pg_control") && Files.exists(restored + "/PG_VERSION"))
    }

    @Test func `zstd gives the contents of a pack`() throws {
        let made = try Self.made.get()
        let folder = "\(made.folder)/pack/\(made.labels[1])"
        let whole = made.site.scratch.file("packs")
        let script = "for pack in \"$0\"/[0-9]*; do zstd -q -d -c \"$pack\" || exit; done >\"$1\""
        let unpacked = try run("/bin/sh", ["-c", script, folder, whole])
        try #require(unpacked.ending == .exited(0), "\(unpacked)")
        for file in ["pg_hba.conf", "pg_ident.conf", "global/1262"] {
            let search = "import sys; a, b = (open(f, 'rb').read() for f in sys.argv[1:]); sys.exit(a not in b)"
            let found = try run("/usr/bin/python3", ["-c", search, "\(made.recovered)/\(file)", whole])
            #expect(found.ending == .exited(0), "\(file): \(found)")
        }
    }

    @Test func `the reader notices a flipped byte in each kind of object`() throws {
        let made = try Self.made.get()
        let listed = try reader("list", made.site.repository)
        var kinds: [String: String] = [:]
        for line in listed.output.split(separator: "\n") {
            let parts = line.split(separator: "\t").map(String.init)
            try #require(parts.count == 2, "\(line)")
            kinds[parts[0]] = parts[1]
        }
        #expect(
            Set(kinds.keys) == [
                "incarnation", "archived file", "backup", "seal", "manifest", "verification", "pack", "aside",
                "put aside", "job", "recovery-begin", "recovery-end",
            ], "\(listed)")
        for (kind, key) in kinds {
            let path = "\(made.site.repository)/\(key)"
            let whole = try Files.read(path, limit: 1 << 30)
            for place in [whole.count / 3, whole.count - 6] {
                var bytes = whole
                bytes[place] ^= 0x10
                try made.with(bytes, in: path) {
                    let verified = try reader("verify", made.site.repository)
                    #expect(
                        verified.ending == .exited(1) && verified.output.contains(key),
                        "\(kind) at \(place): \(verified)")
                }
            }
        }
        #expect(try reader("verify", made.site.repository).ending == .exited(0))
    }

    @Test func `the page has every key of every document, and no other`() throws {
        let made = try Self.made.get()
        let page = try Files.readText(DocumentationTests.root + "/docs/repository.md")
        // Jobs that failed, and pinned backups.
        _ = try made.site.tidemark(["verify", "no-such-backup"])
        let sections = page.split(separator: "\n### ").flatMap { $0.split(separator: "\n## ") }
        func tables(_ title: String) throws -> [[Substring]] {
            let section = try #require(sections.first { $0.hasPrefix(title + "\n") }, "\(title)")
            return section.split(separator: "| key | meaning |\n").dropFirst().map { table in
                table.split(separator: "\n").dropFirst().prefix { $0.hasPrefix("|") }
            }
        }
        let recovery = try tables("recovery-begin and recovery-end")
        try #require(recovery.count == 2)
        let rows: [(kind: String, name: String, rows: [Substring])] = [
            ("incarnation", "incarnation.json", try tables("incarnation")[0]),
            ("backup", "/backup.json", try tables("backup")[0]),
            ("verification", "/verified-", try tables("verification")[0]),
            ("aside", "/record.json", try tables("aside")[0]),
            ("recovery-begin", "/begin.json", recovery[0]), ("recovery-end", "/end.json", recovery[1]),
            ("job", "job/", try tables("Jobs")[0]),
        ]
        for (kind, name, rows) in rows {
            func words(_ text: Substring) -> Set<String> {
                Set(text.matches(of: /`([a-z_0-9]+)`/).map { String($0.1) })
            }
            let keys = rows.reduce(into: Set<String>()) { $0.formUnion(words($1.split(separator: "|")[0])) }
            let mentioned = rows.reduce(into: keys) { $0.formUnion(words($1)) }
            let optional = rows.filter { $0.contains("missing ") || $0.contains("absent ") }
                .reduce(into: Set<String>()) { $0.formUnion(words($1.split(separator: "|")[0])) }
            var seen: Set<String> = []
            for file in try made.files() where file.hasSuffix(".json") && "/\(file)".contains(name) {
                let lines = try Files.readText("\(made.folder)/\(file)").split(separator: "\n")
                #expect(lines.contains("  \"kind\" : \"\(kind)\","), "\(file)")
                var isFree = false
                for line in lines {
                    guard let match = line.firstMatch(of: /^(\ +)"([^"]+)"\ :\ /) else { continue }
                    let isTop = match.1.count == 2
                    if isTop { isFree = ["settings", "facts"].contains(match.2) }
                    if ["kind", "format", "tidemark_version", "xxh128"].contains(match.2) && isTop { continue }
                    if isTop { seen.insert(String(match.2)) }
                    if isTop || !isFree {
                        #expect((isTop ? keys : mentioned).contains(String(match.2)), "\(file): \(match.2)")
                    }
                }
            }
            #expect(keys.subtracting(optional).subtracting(seen).isEmpty, "\(kind): never seen, not said to be missing")
        }
    }
}

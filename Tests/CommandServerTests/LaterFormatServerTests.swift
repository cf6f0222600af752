import Platform
import Support
import Testing

/// The commands' messages about objects that a later version of tidemark wrote; documents are in `DocumentServerTests`.
@Suite(.serialized) struct LaterFormatServerTests {
    private static let made = Result { try EveryDocument() }

    struct Call {
        let words: [String]
        let status: Int32
        /// Whether it names the version.
        var tells = true
    }

    private struct Row: CustomTestStringConvertible, Sendable {
        let testDescription: String
        let file: @Sendable (EveryDocument) throws -> String
        let change: @Sendable ([UInt8]) throws -> [UInt8]
        let calls: @Sendable (EveryDocument) throws -> [Call]

        static func segment(_ name: String, _ offset: Int, _ value: UInt8) -> Row {
            // Its content can be had without the summary.
            let delivers = offset == 48
            return Row(
                testDescription: "a segment with \(name)",
                file: { try $0.path("/\(start(of: $0)).zst") },
                change: { laterArchivedFile($0, [offset: value]) },
                calls: { made in
                    [
                        Call(
                            words: ["archive-get", try start(of: made), made.site.scratch.file("got")],
                            status: delivers ? 0 : 200, tells: !delivers),
                        Call(words: ["plan", "--target", "latest"], status: delivers ? 4 : 1),
                        Call(words: ["recover", "--target", "latest"] + into(made), status: 4),
                        Call(words: ["list"], status: 3, tells: false), Call(words: ["segments"], status: 3),
                        Call(words: ["expire", "--keep-full", "2"], status: 0, tells: false),
                        Call(words: ["verify", "--wal"], status: 3), Call(words: ["verify", "--backups"], status: 3),
                        // Now it is known from the verification.
                        Call(words: ["list"], status: 3),
                    ]
                })
        }

        static func ofBackup(
            _ name: String, _ part: String, show: Int32 = 0,
            _ change: @escaping @Sendable ([UInt8]) throws -> [UInt8]
        ) -> Row {
            Row(
                testDescription: name, file: { try $0.path(part.replacing("LABEL", with: $0.labels[1])) },
                change: change,
                calls: { made in
                    [
                        Call(
                            words: ["recover", "--target", "immediate", "--backup", made.labels[1]] + into(made),
                            status: 1),
                        Call(words: ["plan", "--target", "immediate"], status: 0, tells: false),
                        Call(words: ["list"], status: 0, tells: false),
                        Call(words: ["show", made.labels[1]], status: show, tells: show != 0),
                        Call(words: ["expire", "--keep-full", "2"], status: 0, tells: false),
                        Call(words: ["verify", "--backups"], status: 3),
                        Call(words: ["list"], status: 3),
                    ]
                })
        }

        static let all: [Row] = [
            .segment("another format", 16, 2), .segment("another compression", 17, 2), .segment("a cipher", 18, 1),
            .segment("an unknown flag", 19, 4), .segment("another format of its summary", 48, 2),
            .ofBackup("a pack with another format", "/pack/LABEL/") { laterPack($0, [16: 2]) },
            .ofBackup("a pack with another compression", "/pack/LABEL/") { laterPack($0, [17: 2]) },
            .ofBackup("a pack with a cipher", "/pack/LABEL/") { laterPack($0, [18: 1]) },
            .ofBackup("a manifest with another format", "/backup/LABEL/manifest", show: 1) { whole in
                let scratch = try Scratch()
                let path = scratch.file("manifest.sqlite.zst")
                try createDurably(path, bytes: whole)
                try inManifest(
                    of: scratch.path,
                    "UPDATE meta SET value = '2' WHERE name = 'format'; "
                        + "UPDATE meta SET value = '\(laterVersion)' WHERE name = 'tidemark_version'")
                // A skippable frame, so that nothing seems to be missing.
                return try Files.read(path) + [0x5E, 0x2A, 0x4D, 0x18, 255, 0, 0, 0]
                    + [UInt8](repeating: 0, count: 255)
            },
        ]

        /// The first segment that the newer backup needs.
        private static func start(of made: EveryDocument) throws -> String {
            let description = try Files.readText(try made.path("/backup/\(made.labels[1])/backup.json"))
            return String(try #require(try /"start_segment" : "([0-9A-F]{24})"/.firstMatch(in: description)?.1))
        }

        private static func into(_ made: EveryDocument) -> [String] {
            ["--data-directory", made.site.scratch.file("refused"), "--yes"]
        }
    }

    /// Job records and the results of verifications are added.
    private func lasting(_ made: EveryDocument) throws -> [String] {
        try made.files().filter { !$0.hasPrefix("job/") && !$0.hasPrefix("recovery/") && !$0.contains("/verified-") }
    }

    @Test(arguments: Row.all)
    private func `an object of a later format is refused with the name of the version that can read it`(
        _ row: Row
    ) throws {
        let made = try Self.made.get()
        let path = try row.file(made)
        try made.with(try row.change(try Files.read(path, limit: 1 << 30)), in: path) {
            // The catalog doesn't read again what isn't new.
            try made.site.tidemark(["catalog", "rebuild"], expectSuccess: true)
            let before = try lasting(made)
            for call in try row.calls(made) {
                let finished = try made.site.tidemark(call.words)
                #expect(finished.ending == .exited(call.status), "\(call.words): \(finished)")
                let tells = (finished.errors + finished.output).contains("tidemark \(laterVersion)")
                #expect(tells || !call.tells, "\(call.words): \(finished)")
                // Neither does anything have to be stored again, nor is a backup to be removed.
                let advice = ["archive-push PATH", "store it with", "Store what", "tidemark remove", "storage;"]
                    .filter { (finished.errors + finished.output).contains($0) }
                #expect(advice.isEmpty, "\(call.words): \(finished)")
                _ = try run("/bin/rm", ["-rf"] + ["got", "refused"].map { made.site.scratch.file($0) })
            }
            #expect(try lasting(made) == before)
        }
        try made.site.tidemark(["catalog", "rebuild"], expectSuccess: true)
        try made.site.tidemark(["verify"], expectSuccess: true)
    }

    @Test func `neither the server nor a push gets past a segment of a later format`() throws {
        let made = try Self.made.get()
        let name = try #require(
            try made.files().last { $0.hasPrefix("wal/") && $0.hasSuffix(".zst") && !$0.contains(".backup") }?
                .split(separator: "/").last?.dropLast(4))
        let path = try made.path("/\(name).zst")
        let wal = made.site.cluster.data + "/pg_wal"
        try #require(try Files.exists("\(wal)/\(name)"))
        let later = laterArchivedFile(try Files.read(path), [16: 2])
        try made.with(later, in: path) {
            let pushed = try made.site.tidemark(["archive-push", "\(wal)/\(name)"])
            #expect(pushed.ending == .exited(1) && pushed.errors.contains("tidemark \(laterVersion)"), "\(pushed)")
            #expect(try Files.read(path) == later)
        }
        // A timeline's history is an archived file, too.
        let history = "\(made.folder)/wal/00000002.history.zst"
        try createDurably(history, bytes: later, mode: 0o644)
        defer { try? Files.remove(history) }
        for (words, status) in [
            (["archive-get", "00000002.history", made.site.scratch.file("got")], 200), (["verify", "--wal"], 1),
            (["plan", "--target", "latest"], 1),
        ] {
            let finished = try made.site.tidemark(words)
            #expect(finished.ending == .exited(Int32(status)), "\(words): \(finished)")
            let said = finished.errors + finished.output
            #expect(said.contains("tidemark \(laterVersion)"), "\(words): \(finished)")
        }
    }
}

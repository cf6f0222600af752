import Platform
import Support
import Testing

/// The commands' messages about a document that is damaged, foreign, older or newer, for every kind.
@Suite(.serialized) struct DocumentServerTests {
    private static let made = Result { try EveryDocument() }

    /// Faults of a document.
    private enum Wrong: String, CaseIterable {
        case flipped, zeros, empty, cut, ofAnotherKind, older, newer

        func bytes(_ whole: [UInt8], other: [UInt8]) -> [UInt8] {
            switch self {
            case .flipped:
                var bytes = whole
                bytes[whole.count / 2] ^= 1
                return bytes
            case .zeros: return [UInt8](repeating: 0, count: whole.count)
            case .empty: return []
            case .cut: return Array(whole.prefix(whole.count / 2))
            case .ofAnotherKind: return other
            case .older: return unsealed(whole)
            case .newer: return document(whole, ofFormat: 2, version: "9.1")
            }
        }

        var verdict: String {
            switch self {
            case .flipped, .zeros, .empty, .cut: "is damaged"
            case .ofAnotherKind: "is a document of kind"
            case .older: "was written before format 1 was final"
            case .newer: "has format 2, which this version of tidemark does not know"
            }
        }
        var isOfAnotherFormat: Bool { self == .older || self == .newer }
    }

    private struct Call {
        let words: [String]
        let status: Int32
        /// Whether it reports the fault.
        var tells = true
    }

    private struct Row: CustomTestStringConvertible, Sendable {
        let testDescription: String
        let file: String
        let calls: @Sendable (_ labels: [String], Wrong) -> [Call]

        static let all: [Row] = [
            Row(testDescription: "incarnation", file: "incarnation.json") { _, wrong in
                [
                    Call(words: ["verify", "--backups"], status: 3), Call(words: ["list"], status: 3),
                ]
                    + (wrong.isOfAnotherFormat
                        ? [["backup", "--no-expire"], ["expire", "--keep-full", "1"], ["init"]]
                            .map { Call(words: $0, status: 1) }
                        : [Call(words: ["expire", "--keep-full", "2"], status: 0, tells: false)])
            },
            Row(testDescription: "backup", file: "/backup.json") { labels, _ in
                [
                    Call(words: ["list"], status: 3), Call(words: ["show", labels[0]], status: 1),
                    Call(words: ["verify", "--backups"], status: 3),
                    Call(words: ["expire", "--keep-full", "1"], status: 1),
                    Call(words: ["plan", "--target", "latest"], status: 0, tells: false),
                ]
            },
            // The older backup doesn't count as good while the result of its verification isn't known.
            Row(testDescription: "verification", file: "/verified-") { labels, _ in
                [
                    Call(words: ["list"], status: 0, tells: false),
                    Call(words: ["verify", "--wal"], status: 0, tells: false),
                    Call(words: ["remove", "--yes", labels[1]], status: 1, tells: false),
                ]
            },
            Row(testDescription: "aside", file: "/record.json") { _, _ in
                [Call(words: ["list"], status: 0, tells: false), Call(words: ["verify"], status: 3)]
            },
            Row(testDescription: "job", file: "job/") { _, _ in
                [Call(words: ["history"], status: 0), Call(words: ["verify"], status: 3)]
            },
            Row(testDescription: "recovery-begin", file: "/begin.json") { _, _ in
                [Call(words: ["verify"], status: 3)]
            },
            Row(testDescription: "recovery-end", file: "/end.json") { _, _ in
                [
                    Call(words: ["plan", "--target", "latest"], status: 0, tells: false),
                    Call(words: ["verify"], status: 3),
                ]
            },
        ]
    }

    /// `verify` adds its results, and every job its record.
    private func lasting(_ made: EveryDocument) throws -> Set<String> {
        Set(try made.files().filter { !$0.hasPrefix("job/") && !$0.contains("/verified-") })
    }

    @Test(arguments: Row.all)
    private func `a document that can't be read is reported, removes nothing and stops no other`(_ row: Row) throws {
        let made = try Self.made.get()
        let path = try made.path(
            (row.file.hasPrefix("/v") ? "/" + made.labels[0] : "") + row.file, last: row.file.hasPrefix("/v"))
        let (whole, other) = (
            try Files.read(path), try Files.read(try made.path(row.file == "job/" ? "/end.json" : "job/"))
        )
        for wrong in Wrong.allCases {
            try made.with(wrong.bytes(whole, other: other), in: path) {
                let before = try lasting(made)
                for call in row.calls(made.labels, wrong) {
                    let words = call.words
                    let finished = try made.site.tidemark(words)
                    #expect(finished.ending == .exited(call.status), "\(wrong), \(words): \(finished)")
                    guard call.tells else { continue }
                    #expect(finished.errors.contains(wrong.verdict), "\(wrong), \(words): \(finished)")
                    if wrong == .newer {
                        #expect(finished.errors.contains("tidemark 9.1"), "\(words): \(finished)")
                    }
                }
                #expect(try lasting(made) == before, "\(wrong)")
            }
        }
        try made.site.tidemark(["verify", "--backups"], expectSuccess: true)
    }

    @Test func `WAL is archived beside a damaged incarnation.json, not beside one of another format`() throws {
        let made = try Self.made.get()
        let path = try made.path("incarnation.json")
        let whole = try Files.read(path)
        let wal = made.site.cluster.data + "/pg_wal"
        let name = try #require(
            try made.files().last { $0.hasPrefix("wal/") && $0.hasSuffix(".zst") && !$0.contains(".backup") }?
                .split(separator: "/").last?.dropLast(4))
        try #require(try Files.exists("\(wal)/\(name)"))
        for wrong in Wrong.allCases {
            try made.with(wrong.bytes(whole, other: []), in: path) {
                let pushed = try made.site.tidemark(["archive-push", "\(wal)/\(name)"])
                let refused = wrong.isOfAnotherFormat
                #expect(pushed.ending == .exited(refused ? 1 : 0), "\(wrong): \(pushed)")
                if refused { #expect(pushed.errors.contains(wrong.verdict), "\(wrong): \(pushed)") }
                let got = try made.site.tidemark(["archive-get", String(name), made.site.scratch.file("got")])
                #expect(got.ending == .exited(refused ? 200 : 0), "\(wrong): \(got)")
            }
        }
    }
}

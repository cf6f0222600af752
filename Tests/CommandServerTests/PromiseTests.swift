import Platform
import Support
import Testing

/// Whatever the pages promise has a test: each sentence with a promise's word in it stands in
/// `Tests/promises/PAGE.txt`, word for word, and below it, indented, the tests that hold it:
///
///     Nothing is overwritten.
///         PushContractServerTests: another file of the name stays
///
/// A sentence about what others do names where they say so: `PostgreSQL: …`. One that leads to others names no test of
/// its own: `page: …` says where the promise is made. A sentence without such a word may be listed, too.
struct PromiseTests {
    private static let pages =
        ["README.md"]
        + (try! Files.list(DocumentationTests.root + "/docs").filter { $0.hasSuffix(".md") }.map { "docs/" + $0 })
        .sorted()

    @Test(arguments: pages) func `every sentence that promises something names its tests`(_ page: String) throws {
        let said = Sentences.of(try Files.readText(DocumentationTests.root + "/" + page))
        #expect(said.count > 5)
        let listed = try Promise.all(of: page)
        let known = Set(listed.map(\.sentence))
        let missing = said.filter { Self.promises($0) && !known.contains($0) }
        #expect(missing.isEmpty, "without a test:\n\(missing.joined(separator: "\n"))")
        let spoken = Set(said)
        let gone = known.filter { !spoken.contains($0) }
        #expect(gone.isEmpty, "no longer in \(page):\n\(gone.joined(separator: "\n"))")
        #expect(known.count == listed.count, "listed twice")
        for promise in listed { #expect(!promise.holders.isEmpty, "\(promise.sentence)") }
    }

    @Test func `every test that holds a promise exists`() throws {
        let tests = try Self.tests()
        #expect(tests.count > 300)
        for page in Self.pages {
            for promise in try Promise.all(of: page) {
                for holder in promise.holders where !["PostgreSQL: ", "page: "].contains(where: holder.hasPrefix) {
                    #expect(tests.contains(holder), "\(page): \(promise.sentence)")
                }
            }
        }
    }

    /// Whether a sentence has a word that binds.
    static func promises(_ sentence: String) -> Bool {
        let words = sentence.lowercased().split { !$0.isLetter && $0 != "'" }
        return words.contains { binding.contains(String($0)) || $0.hasPrefix("refus") || $0.hasPrefix("promise") }
    }

    private static let binding: Set = [
        "never", "always", "whatever", "nothing", "nobody", "stays", "stay", "kept", "keeps", "untouched", "durable",
        "exits", "exit", "guarantees", "loses", "lose", "lost", "cannot", "can't",
    ]

    /// The tests as `Suite: name`.
    private static func tests() throws -> Set<String> {
        var found: Set<String> = []
        let folder = DocumentationTests.root + "/Tests"
        for target in try Files.list(folder) where target.hasSuffix("Tests") {
            for file in try Files.list(folder + "/" + target) where file.hasSuffix(".swift") {
                var suite: Substring = ""
                // A regular expression costs much, and few lines need one.
                for line in try Files.readText("\(folder)/\(target)/\(file)").split(separator: "\n") {
                    if !line.hasPrefix(" "),
                        line.contains("struct ") || line.contains("class ") || line.contains("extension ")
                    {
                        if let name = line.firstMatch(
                            of: /^(?:@Suite(?:\(.*\))? )?(?:final )?(?:struct|class|extension|enum|actor) (\w+)/)
                        {
                            suite = name.1
                        }
                    } else if line.contains("func "), let name = line.firstMatch(of: /\bfunc `([^`]+)`/) {
                        found.insert("\(suite): \(name.1)")
                    } else if line.contains("@Test"), let name = line.firstMatch(of: /@Test.*\bfunc (\w+)/) {
                        found.insert("\(suite): \(name.1)")
                    }
                }
            }
        }
        return found
    }
}

/// A sentence of a page and the tests that hold it.
private struct Promise {
    let sentence: String
    var holders: [String] = []

    static func all(of page: String) throws -> [Promise] {
        let name = page.split(separator: "/").last!.dropLast(3)
        let text = try Files.readText(DocumentationTests.root + "/Tests/promises/\(name).txt")
        var all: [Promise] = []
        for line in text.split(separator: "\n") {
            if line.hasPrefix("    ") {
                guard !all.isEmpty else { throw Problem("\(page): a test without a sentence: \(line)") }
                all[all.count - 1].holders.append(String(line.dropFirst(4)))
            } else {
                all.append(Promise(sentence: String(line)))
            }
        }
        return all
    }
}

/// The sentences of a page: of its paragraphs, list items and table cells, each on one line.
private enum Sentences {
    static func of(_ page: String) -> [String] {
        var (all, paragraph, isCode): ([String], [Substring], Bool) = ([], [], false)
        func end() {
            all += split(paragraph.joined(separator: " "))
            paragraph = []
        }
        let lines = page.split(separator: "\n", omittingEmptySubsequences: false)
        for (number, line) in lines.enumerated() {
            let text = line.drop { $0 == " " }
            if text.hasPrefix("```") { isCode.toggle() }
            if isCode || text.isEmpty || text.hasPrefix("```") || text.hasPrefix("#") || line.hasPrefix("    ") {
                end()
            } else if text.hasPrefix("|") {
                end()
                // A head has the line of dashes below it.
                if number + 1 < lines.count, lines[number + 1].hasPrefix("|--") || lines[number + 1].hasPrefix("| --") {
                    continue
                }
                for cell in text.split(separator: "|") { all += split(cell.trimmingPrefix(" ")) }
            } else if let item = text.prefixMatch(of: /(?:[-*]|\d+\.) +/) {
                end()
                paragraph.append(text[item.range.upperBound...])
            } else {
                paragraph.append(text)
            }
        }
        end()
        return all
    }

    /// A sentence ends with its point, before a blank and a capital letter, a quotation or code.
    private static func split(_ text: some StringProtocol) -> [String] {
        var sentences: [String] = []
        var rest = Substring(text)
        while let end = rest.firstMatch(of: /[.!?][)*"`]* +(?=[A-Z`"*\[(])/) {
            sentences.append(String(rest[..<end.range.upperBound]))
            rest = rest[end.range.upperBound...]
        }
        sentences.append(String(rest))
        return sentences.map { sentence in
            String(sentence.reversed().drop { $0 == " " }.reversed())
        }.filter { !$0.isEmpty }
    }
}

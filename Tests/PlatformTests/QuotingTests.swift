import Glibc
import Testing

@testable import Platform

/// Quoted text can't end its quotation, whatever follows a quotation mark. Two scalars may be one `Character`.
struct QuotingTests {
    /// Nothing, a letter, a mark that combines with what it follows, and one that joins it to the next.
    static let followers = ["", "x", "\u{301}", "\u{200D}", "\u{FE0F}\u{20E3}"]

    @Test(arguments: followers) func `every quotation mark is doubled`(_ follower: String) {
        #expect(bytes(quotedIdentifier("a\"\(follower)b")) == bytes("\"a\"\"\(follower)b\""))
        #expect(bytes(plainIdentifier("a\"\(follower)b")) == bytes("\"a\"\"\(follower)b\""))
        #expect(bytes(quotedLiteral("a'\(follower)b")) == bytes("'a''\(follower)b'"))
        #expect(bytes(quotedLiteral("a\\\(follower)'\(follower)")) == bytes("E'a\\\\\(follower)''\(follower)'"))
    }

    @Test(arguments: ["\u{9B}31m", "\u{7F}", "\u{202E}", "\u{200B}", "\u{2028}", "\u{FEFF}", "\u{061C}", "\u{1B}"])
    func `JSON shows no character that could change what a terminal shows`(_ odd: String) {
        let digits = String(odd.unicodeScalars.first!.value, radix: 16)
        let escaped = "\\u" + String(repeating: "0", count: 4 - digits.utf8.count) + digits
        #expect(quotedForJSON("é" + odd).hasPrefix("\"é" + escaped))
        if odd != "\u{1B}" {
            let json = String(decoding: withoutMisleadingCharacters(json: bytes("[\"é\(odd)\"]")), as: UTF8.self)
            #expect(json.hasPrefix("[\"é" + escaped) && json.hasSuffix("\"]"))
        }
    }

    @Test(arguments: followers) func `a shell reads back one word`(_ follower: String) throws {
        for word in ["a'\(follower)b", "$\(follower)HOME", "`\(follower)x`", "\\\(follower)", "\n\(follower)"] {
            let finished = try run("/bin/sh", ["-c", "printf %s \(shellQuoted(word))"])
            #expect(bytes(finished.output) == bytes(word))
        }
    }

    @Test(arguments: followers) func `a slash parts names, whatever follows it`(_ follower: String) {
        #expect(bytes(Files.parent("/a/b/\(follower)c")) == bytes("/a/b"))
        #expect(bytes(Files.name("/a/b/\(follower)c")) == bytes(follower + "c"))
        #expect(Files.lies("/a/b/\(follower)c", in: "/a/b"))
        #expect(!Files.lies("/a/b\(follower)c", in: "/a/b"))
    }

    private func bytes(_ text: String) -> [UInt8] { Array(text.utf8) }
}

struct OutsideNumbersTests {
    @Test func `a file of /proc is read to its end`() throws {
        // For a process that maps as many files as this one, it is longer than one read.
        let whole = try run("/bin/cat", ["/proc/\(getpid())/smaps"]).output.utf8.count
        let read = try Files.read("/proc/self/smaps").count
        #expect(whole > 100_000 && read > whole / 2, "\(read) of \(whole)")
    }

    struct Space: Sendable {
        let blocks, available, size: UInt64
        let free, total: Int64
    }

    @Test(arguments: [
        Space(blocks: 100, available: 40, size: 4096, free: 163_840, total: 409_600),
        Space(blocks: 0, available: 0, size: 4096, free: .max, total: 0),
        // More is used than there is.
        Space(blocks: 100, available: UInt64(bitPattern: -3), size: 4096, free: 0, total: 409_600),
        Space(blocks: .max, available: .max, size: 4096, free: .max, total: .max),
        Space(blocks: 1 << 60, available: 1 << 59, size: 1 << 20, free: .max, total: .max),
    ])
    func `a file system may have any number of blocks`(_ space: Space) {
        let found = Files.space(blocks: space.blocks, available: space.available, of: space.size)
        #expect(found.free == space.free && found.total == space.total, "\(found)")
    }
}

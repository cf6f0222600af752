import Glibc
import Platform
import Recovery
import Support
import Testing

/// A tablespace of a dead server's directory, which a recovery sets aside.
struct OldTablespace: Sendable, CustomTestStringConvertible {
    let testDescription: String
    /// Nil for none.
    let control: [UInt8]?
    var version: String? = "15\n"
    /// What stays in the tablespace; nil when the directory can't be set aside.
    let left: [String]?

    static let all = [
        OldTablespace(testDescription: "no control file", control: nil, left: ["PG_16_202307071", "backup"]),
        OldTablespace(testDescription: "a damaged one", control: [1, 2, 3], left: ["PG_16_202307071", "backup"]),
        OldTablespace(
            testDescription: "zeros", control: [UInt8](repeating: 0, count: 8192), left: ["PG_16_202307071", "backup"]),
        OldTablespace(testDescription: "no version either", control: nil, version: "?", left: nil),
    ]
}

@Suite struct OldDirectoryTests {
    @Test(arguments: OldTablespace.all)
    func `a directory is set aside with its tablespaces, though its control file is damaged`(
        _ sample: OldTablespace
    ) throws {
        let scratch = try Scratch()
        let (data, space) = (scratch.file("data"), scratch.file("space"))
        for folder in ["\(data)/global", "\(data)/pg_tblspc", "\(space)/PG_16_202307071/5"] {
            try Files.makeDirectories(folder)
        }
        try Files.makeDirectories("\(space)/PG_15_202209061/5")
        try createDurably("\(space)/PG_15_202209061/5/16384", bytes: [7])
        try createDurably("\(space)/backup", bytes: [])
        try createDurably("\(data)/PG_VERSION", bytes: Array((sample.version ?? "").utf8))
        if let control = sample.control { try createDurably("\(data)/global/pg_control", bytes: control) }
        #expect(symlink(space, "\(data)/pg_tblspc/16400") == 0)
        let old = try #require(try OldDirectory(data))
        guard let left = sample.left else {
            #expect(throws: (any Error).self) { try old.setAside(stamp: "x") }
            #expect(try Files.exists(data) && Files.exists("\(space)/PG_15_202209061/5/16384"))
            return
        }
        let renamed = try old.setAside(stamp: "x")
        #expect(renamed.map(\.from) == ["\(space)/PG_15_202209061", data])
        #expect(try Files.list(space).filter { !$0.hasSuffix(".before-x") }.sorted() == left)
        #expect(try Files.exists("\(space)/PG_15_202209061.before-x/5/16384"))
        #expect(try !Files.exists(data) && Files.exists(data + ".before-x/PG_VERSION"))
    }
}

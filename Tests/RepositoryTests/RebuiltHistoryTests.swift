import Platform
import Repository
import Support
import Testing
import WAL

/// What is left of 00000002.history, what later timelines' files say, and what is rebuilt of it.
struct LostAncestor: Sendable, CustomTestStringConvertible {
    enum Own: Sendable {
        case absent, aside
        /// No object that can be read.
        case garbage
        /// Readable, but no history: its digest is known.
        case text(String)
    }
    let testDescription: String
    var own = Own.absent
    var later: [UInt32: String]
    var rebuilt: String?
    /// Whether a timeline that can be followed descends from it.
    var isAncestor = true

    static let two = "1\t0/3000000\tno recovery target specified\n"
    static let three = two + "\n2\t0/5000000\tno recovery target specified\n"

    static let all = [
        LostAncestor(testDescription: "a child's file repeats it", later: [3: three], rebuilt: two),
        LostAncestor(testDescription: "damaged", own: .garbage, later: [3: three], rebuilt: two),
        LostAncestor(
            testDescription: "a grandchild's file repeats it", later: [5: three + "\n3\t0/7000000\tx\n"], rebuilt: two),
        LostAncestor(
            testDescription: "two agree", later: [3: three, 5: three + "\n3\t0/7000000\tx\n"], rebuilt: two),
        LostAncestor(
            testDescription: "its server left before the timeline began, and still repeats it",
            later: [4: three + "\n3\t0/2000000\tx\n"], rebuilt: two, isAncestor: false),
        LostAncestor(testDescription: "nothing repeats it", later: [3: "1\t0/3000000\tx\n"], rebuilt: nil),
        LostAncestor(testDescription: "nothing is there", later: [:], rebuilt: nil),
        LostAncestor(
            testDescription: "two disagree",
            later: [3: three, 4: "1\t0/2000000\tx\n\n2\t0/5000000\tx\n"], rebuilt: nil),
        LostAncestor(
            testDescription: "the digest is another file's", own: .text("1\t0/4000000\tx, damaged\n nonsense\n"),
            later: [3: three], rebuilt: nil),
        LostAncestor(testDescription: "the timeline was put aside", own: .aside, later: [3: three], rebuilt: nil),
        LostAncestor(testDescription: "the later file is damaged", later: [3: "2\tnonsense\n"], rebuilt: nil),
        LostAncestor(testDescription: "the oldest timeline has none", later: [3: "2\t0/5000000\tx\n"], rebuilt: nil),
    ]
}

@Suite struct RebuiltHistoryTests {
    @Test(arguments: LostAncestor.all)
    func `a history is rebuilt only where nothing speaks against it`(_ row: LostAncestor) throws {
        let store = MemoryStore()
        let archive = ClusterArchive(Incarnation(cluster: "main", major: 15, systemIdentifier: 7), in: store)
        let two = TimelineID(2)
        switch row.own {
        case .absent: break
        case .garbage: try store.create(archive.key(for: .history(two)), bytes: [1, 2, 3])
        case .text(let text): try store.createFile(archive.key(for: .history(two)), bytes: Array(text.utf8))
        case .aside:
            let folder = archive.incarnation.asideFolder.appending(
                AsideFolder.name(Moment(microseconds: 1_800_000_000_000_000), "00000002.history"))
            try store.create(folder.appending("record.json"), bytes: [1])
            try #require(archive.asideFolders().map(\.subject) == ["00000002.history"])
        }
        for (timeline, text) in row.later {
            try store.createFile(archive.key(for: .history(TimelineID(timeline))), bytes: Array(text.utf8))
        }
        #expect(try archive.rebuiltHistory(two) == row.rebuilt.map { Array($0.utf8) })
        let known = try archive.readableHistories()
        #expect((known[two] != nil) == (row.rebuilt != nil && row.isAncestor))
        #expect(try (archive.readableHistory(two) != nil) == (row.rebuilt != nil))
        #expect(try archive.storedHistory(two) == nil)
    }
}

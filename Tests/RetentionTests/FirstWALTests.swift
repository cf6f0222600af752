import Glibc
import Platform
import Repository
import Retention
import Support
import Testing

@testable import Backups
@testable import Expiring
@testable import WAL

/// An archive, and where WAL begins in it that may be younger than the fifth day.
struct DatedArchive: Sendable, CustomTestStringConvertible {
    /// A segment's age.
    enum Age: Sendable {
        case day(Int64)
        case noCommit
        case noSummary
        case damaged
    }
    let testDescription: String
    /// By timeline and number.
    let segments: [(timeline: UInt32, number: UInt64, age: Age)]
    /// The day on which they were archived, by the storage's clock, but for the last one of the newest timeline.
    var archived: Int64 = 9
    var hasBackup = true
    /// The number of the first segment that may be young; nil where unknown.
    let first: UInt64?

    private static func main(_ ages: [Age]) -> [(timeline: UInt32, number: UInt64, age: Age)] {
        ages.enumerated().map { (1, UInt64($0 + 1), $1) }
    }

    static let all = [
        DatedArchive(
            testDescription: "old commits, then young ones",
            segments: main([.day(1), .day(2), .day(6), .day(7)]), first: 2),
        DatedArchive(testDescription: "only young ones", segments: main([.day(6), .day(7)]), first: 1),
        DatedArchive(testDescription: "only old ones", segments: main([.day(1), .day(2)]), first: 2),
        DatedArchive(
            testDescription: "one of the very moment is young", segments: main([.day(4), .day(5), .day(6)]), first: 1),
        DatedArchive(testDescription: "no commits at all", segments: main([.noCommit, .noCommit]), first: 1),
        DatedArchive(
            testDescription: "no commits between the old and the young ones",
            segments: main([.day(1), .noCommit, .noCommit, .day(6)]), first: 1),
        DatedArchive(
            testDescription: "no commits before an old one", segments: main([.noCommit, .day(2), .day(6)]), first: 2),
        DatedArchive(
            testDescription: "no commits after the last old one", segments: main([.day(1), .noCommit]), first: 1),
        DatedArchive(
            testDescription: "a clock that went back: nothing behind a young one counts as old",
            segments: main([.day(1), .day(6), .day(2), .day(7)]), first: 1),
        DatedArchive(
            testDescription: "one that was stored unread", segments: main([.day(1), .noSummary, .day(2), .day(6)]),
            first: 1),
        DatedArchive(
            testDescription: "one that is damaged", segments: main([.day(1), .damaged, .day(2), .day(6)]), first: 1),
        DatedArchive(
            testDescription: "a timeline that began in the young part",
            segments: main([.day(1), .day(2), .day(6)]) + [(2, 3, .day(7)), (2, 4, .day(8))], first: 2),
        DatedArchive(
            testDescription: "a young timeline beside old segments of the one it left",
            segments: main([.day(1), .day(2), .day(3), .day(4)]) + [(2, 3, .day(7)), (2, 4, .day(8))], first: 3),
        DatedArchive(
            testDescription: "a timeline beside it that begins without commits",
            segments: main([.day(1), .day(2), .day(3)]) + [(2, 3, .noCommit), (2, 4, .day(8))], first: 3),
        DatedArchive(
            testDescription: "an old timeline that ended without commits",
            segments: main([.day(1), .day(2), .noCommit]) + [(2, 3, .day(3)), (2, 4, .day(4)), (2, 5, .day(8))],
            first: 2),
        DatedArchive(
            testDescription: "two old timelines",
            segments: main([.day(1), .day(2)]) + [(2, 2, .day(3)), (2, 3, .day(4))],
            first: 2),
        DatedArchive(
            testDescription: "no commits at all, archived long ago", segments: main([.noCommit, .noCommit, .noCommit]),
            archived: 2, first: 2),
        DatedArchive(
            testDescription: "a stray timeline that ended without commits, long ago",
            segments: main([.day(1), .day(2)]) + [
                (2, 2, .noCommit), (3, 2, .day(3)), (3, 3, .day(4)), (3, 4, .day(6)),
            ],
            archived: 3, first: 3),
        DatedArchive(
            testDescription: "a damaged one that was archived long ago",
            segments: main([.day(1), .damaged, .day(2), .day(6)]), archived: 3, first: 3),
        DatedArchive(testDescription: "no WAL", segments: [], first: nil),
        DatedArchive(
            testDescription: "no backup that tells a segment's size", segments: main([.day(1)]), hasBackup: false,
            first: nil),
    ]
}

@Suite struct FirstWALTests {
    private static let size: UInt32 = 1 << 20
    private static let incarnation = Incarnation(cluster: "main", major: 15, systemIdentifier: 7_000)

    private static func moment(_ day: Int64) -> Moment {
        Moment(microseconds: 1_800_000_000_000_000 + day * 86_400_000_000)
    }

    @Test(arguments: DatedArchive.all)
    func `WAL that may be younger than keep_wal begins with the last commit that is known to be old`(
        _ sample: DatedArchive
    ) throws {
        let scratch = try Scratch()
        let store = DirectoryStore(scratch.file("repository"))
        try Files.makeDirectories(store.location)
        try store.create(Self.incarnation.marker, Self.incarnation.sealedMarker)
        for (timeline, number, age) in sample.segments {
            let name = SegmentName(timeline: TimelineID(timeline), number: number, segmentSize: Self.size)
            try put(name, age, store)
            let isLast = sample.segments.last.map { $0.timeline == timeline && $0.number == number } ?? false
            try date(name, isLast ? 9 : sample.archived, store)
        }
        if sample.hasBackup { try backUp(store) }
        let archive = ClusterArchive(Self.incarnation, in: store)
        let expiry = Expiry(archive: archive, listing: try archive.listBackups())
        let found = expiry.firstWAL(since: Self.moment(5))
        #expect(found == sample.first.map { LSN($0 * UInt64(Self.size)) })
        guard let found else { return }
        // No segment that is known to be young is removed.
        for case (let timeline, let number, .day(let day)) in sample.segments where day >= 5 {
            #expect(LSN(number * UInt64(Self.size)) >= found, "\(timeline), \(number)")
        }
    }

    @Test(arguments: [
        ([DatedArchive.Age.noCommit, .noCommit], 1 as Int64, false), ([.noCommit, .noCommit], 9, true),
        ([.noCommit, .damaged], 1, false), ([.noCommit, .damaged], 9, true), ([.day(9), .noCommit], 1, true),
        ([.day(1), .noCommit], 9, false), (Array(repeating: .noCommit, count: 9), 1, false),
        ([.day(9)] + Array(repeating: .noCommit, count: 9), 1, false),
    ])
    func `a branch without a recent commit counts as recent for a week after its last file was archived`(
        _ ages: [DatedArchive.Age], archived: Int64, isRecent: Bool
    ) throws {
        let scratch = try Scratch()
        let store = DirectoryStore(scratch.file("repository"))
        try Files.makeDirectories(store.location)
        try store.create(Self.incarnation.marker, Self.incarnation.sealedMarker)
        // A newer timeline is on the cluster's way.
        for (timeline, ages) in [(UInt32(1), ages), (2, [.day(12)])] {
            for (number, age) in ages.enumerated() {
                let name = SegmentName(
                    timeline: TimelineID(timeline), number: UInt64(number + 1), segmentSize: Self.size)
                try put(name, age, store)
                try date(name, timeline == 1 ? archived : 12, store)
            }
        }
        try backUp(store)
        let archive = ClusterArchive(Self.incarnation, in: store)
        let timelines = try Expiry(archive: archive, listing: archive.listBackups()).timelines()
        let branches = RetainedBranches(timelines, now: Self.moment(12))
        #expect(branches.living.contains { $0.history.timeline == TimelineID(1) } == isRecent, "\(timelines)")
    }

    /// When a segment was archived.
    private func date(_ name: SegmentName, _ day: Int64, _ store: DirectoryStore) throws {
        let seconds = Int(Self.moment(day).microseconds / 1_000_000)
        let times = [timeval(tv_sec: seconds, tv_usec: 0), timeval(tv_sec: seconds, tv_usec: 0)]
        try #require(utimes(store.path(Self.incarnation.segment(name)), times) == 0)
    }

    private func put(_ name: SegmentName, _ age: DatedArchive.Age, _ store: DirectoryStore) throws {
        let start = name.start(segmentSize: Self.size)
        var facts = SegmentFacts()
        if case .day(let day) = age {
            let commit = TransactionMark(lsn: start + 100, end: start + 200, time: Self.moment(day), xid: 700)
            (facts.firstCommit, facts.lastCommit) = (commit, commit)
            (facts.earliestCommit, facts.latestCommit) = (commit, commit)
        }
        let summary = SegmentSummary(
            version: .v15, systemIdentifier: Self.incarnation.systemIdentifier, segmentSize: Self.size, start: start,
            firstTimeline: name.timeline, lastTimeline: name.timeline, end: start + UInt64(Self.size), ending: .full,
            startsAfterAbandoned: false, facts: facts, blockMap: [])
        var isRead = true
        if case .noSummary = age { isRead = false }
        try store.createSegment(
            Self.incarnation.segment(name), length: UInt64(Self.size), presses: [try SegmentPress(level: 1)],
            read: { buffer, _ in
                buffer.initializeMemory(as: UInt8.self, repeating: 0)
                return buffer.count
            }, inspect: { _ in },
            head: { [isRead] in
                SegmentHead(rawLength: UInt64(Self.size), digest: $0, summary: isRead ? summary.encode() : [])
            })
        guard case .damaged = age else { return }
        var bytes = try store.read(Self.incarnation.segment(name))
        bytes[60] ^= 0xFF
        try store.remove(Self.incarnation.segment(name))
        try store.create(Self.incarnation.segment(name), bytes: bytes)
    }

    private func backUp(_ store: DirectoryStore) throws {
        let time = Self.moment(3)
        let label = "\(time.compact)-full"
        let start = LSN(UInt64(Self.size) + 0x28)
        let name = SegmentName(timeline: TimelineID(1), number: 1, segmentSize: Self.size)
        let json = """
            {"label":"\(label)","type":"full","start_time":"\(time.iso8601)","stop_time":"\(time.iso8601)",
            "start_lsn":"\(start)","checkpoint_lsn":"\(start)","stop_lsn":"\(start + 0x100)","timeline":1,
            "start_segment":"\(name)","stop_segment":"\(name)",
            "system_identifier":"\(Self.incarnation.systemIdentifier)","major":15,
            "server_version":150020,"catalog_version":202209061,"segment_size":\(Self.size),"from_standby":false,
            "file_count":1,"size":1,"stored_size":3,"packs":[],"tablespaces":[],"checksums":true,
            "verified_pages":1,"corrupt_pages":[],"settings":{},"pinned":false,
            "timings":{"checkpoint":1,"copy":1,"wal_wait":1,"total":1,"bytes":1}}
            """
        try store.create(
            Self.incarnation.backupDescription(label), SealedDocument(.backup, body: Array(json.utf8)))
    }
}

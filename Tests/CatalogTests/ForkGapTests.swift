import Archiving
import Catalog
import Monitoring
import Platform
import Repository
import Retention
import Support
import Testing
import WAL

@testable import Planning
@testable import Recovery

/// An archive with forks in which segments are missing. Segments have 1 MB; `1/4` is the fourth of timeline 1.
struct ForkGap: Sendable, CustomTestStringConvertible {
    let name: String
    /// By the timeline that begins: where its ancestors were left, in hundredths of segments.
    var histories: [UInt32: [(left: UInt32, at: UInt64)]] = [:]
    let files: String
    var partial: String?
    /// Where the backups were taken.
    var backups = "1/2"
    /// The gaps that `segments` and `verify --wal` report for the whole archive.
    let gaps: [String]
    /// The gaps that `check` and `status` report in the cluster's history, if others.
    var onHistory: [String]?
    /// The gap that ends every recovery, which `window` and `list` report.
    var unreached: String?
    /// What is missing of the gap from the beginning of a backup on, which only that backup's line shows.
    var ofBackup: String?
    /// Whether no recovery reaches a moment before the gap.
    var isFirst = false
    /// Whether no recovery reaches anything.
    var isAll: Bool { isFirst && unreached != nil }
    var testDescription: String { name }
}

extension ForkGap {
    static let all = [
        ForkGap(
            name: "nothing is missing", histories: [2: [(1, 450)]], files: "1/2 1/3 2/4 2/5", gaps: []),
        ForkGap(
            name: "the parent's end", histories: [2: [(1, 550)]], files: "1/2 1/3 2/5 2/6", gaps: ["1/4-1/4"],
            unreached: "1/4-1/4"),
        ForkGap(
            name: "the parent's last two", histories: [2: [(1, 650)]], files: "1/2 1/3 2/6", gaps: ["1/4-1/5"],
            unreached: "1/4-1/5"),
        ForkGap(
            name: "the child's beginning", histories: [2: [(1, 450)]], files: "1/2 1/3 2/5 2/6", gaps: ["2/4-2/4"],
            unreached: "2/4-2/4"),
        ForkGap(
            name: "the child's beginning, while the trunk went on", histories: [2: [(1, 450)]],
            files: "1/2 1/3 1/4 1/5 1/6 1/7 2/5 2/6", gaps: ["2/4-2/4"], unreached: "2/4-2/4"),
        ForkGap(
            name: "a fork inside the gap", histories: [2: [(1, 550)]], files: "1/2 1/3 2/7", gaps: ["1/4-2/6"],
            unreached: "1/4-2/6"),
        ForkGap(
            name: "a whole timeline between two", histories: [2: [(1, 450)], 3: [(1, 450), (2, 650)]],
            files: "1/2 1/3 3/6 3/7", gaps: ["2/4-2/5"], unreached: "2/4-2/5"),
        ForkGap(
            name: "a fork on a border", histories: [2: [(1, 500)]], files: "1/2 1/3 2/5", gaps: ["1/4-1/4"],
            unreached: "1/4-1/4"),
        ForkGap(
            name: "two forks in the missing segment", histories: [2: [(1, 410)], 3: [(1, 410), (2, 420)]],
            files: "1/2 1/3 3/5", gaps: ["3/4-3/4"], unreached: "3/4-3/4"),
        ForkGap(
            name: "two forks in neighbouring segments", histories: [2: [(1, 350)], 3: [(1, 350), (2, 450)]],
            files: "1/2 1/3 3/4 3/5", gaps: ["2/3-2/3"], unreached: "2/3-2/3"),
        ForkGap(
            name: "the fork's segment as .partial only", histories: [2: [(1, 450)]], files: "1/2 1/3 2/5",
            partial: "1/4",
            gaps: ["2/4-2/4"], unreached: "2/4-2/4"),
        ForkGap(
            name: "a backup on the branch, after the gap", histories: [2: [(1, 550)]], files: "1/2 1/3 2/5 2/6 2/7",
            backups: "1/2 2/6", gaps: ["1/4-1/4"]),
        ForkGap(
            name: "a backup inside the gap", histories: [2: [(1, 650)]], files: "1/2 1/3 2/6 2/7", backups: "1/2 1/5",
            gaps: ["1/4-1/5"], unreached: "1/4-1/5", ofBackup: "1/5-1/5"),
        ForkGap(
            name: "a backup on the trunk, after the fork", histories: [2: [(1, 450)]],
            files: "1/2 1/3 1/4 1/5 1/6 2/5 2/6 2/7", backups: "1/2 1/5", gaps: ["2/4-2/4"], unreached: "2/4-2/4"),
        ForkGap(
            name: "what the trunk lost after the fork", histories: [2: [(1, 450)]], files: "1/2 1/3 1/4 1/8 2/4 2/5",
            gaps: ["1/5-1/7"], onHistory: [], unreached: nil),
        ForkGap(
            name: "what the trunk lost from the fork's segment on", histories: [2: [(1, 450)]],
            files: "1/2 1/3 1/8 2/4 2/5", gaps: ["1/4-1/7"], onHistory: [], unreached: nil),
        ForkGap(
            name: "a gap that begins before the only backup", files: "1/2 1/3 1/6 1/7", backups: "1/5",
            gaps: ["1/4-1/5"], unreached: "1/4-1/5", ofBackup: "1/5-1/5", isFirst: true),
        ForkGap(
            name: "a gap that begins before the only backup and ends behind a fork", histories: [2: [(1, 650)]],
            files: "1/2 1/3 2/8 2/9", backups: "1/5", gaps: ["1/4-2/7"], unreached: "1/4-2/7", ofBackup: "1/5-2/7",
            isFirst: true),
        ForkGap(
            name: "all that the oldest backup needs", files: "1/6 1/7", backups: "1/2 1/6", gaps: ["1/2-1/5"],
            ofBackup: "1/2-1/5", isFirst: true),
        ForkGap(
            name: "all of the parent", histories: [2: [(1, 450)]], files: "2/6 2/7", backups: "1/2 2/6",
            gaps: ["1/2-2/5"], ofBackup: "1/2-2/5", isFirst: true),
        ForkGap(
            name: "all of the parent, whose newest backup tells where it was left", histories: [2: [(1, 650)]],
            files: "2/6 2/7 2/8", backups: "1/2 1/4 2/7", gaps: ["1/2-1/5"], ofBackup: "1/4-1/5",
            isFirst: true),
        ForkGap(
            name: "all of the parent and the child's beginning", histories: [2: [(1, 650)]], files: "2/8 2/9",
            backups: "1/2 1/4 2/8", gaps: ["1/2-2/7"], ofBackup: "1/4-2/7", isFirst: true),
    ]
}

@Suite struct ForkGapTests {
    private static let size: UInt32 = 1 << 20

    private static func name(_ text: some StringProtocol) throws -> SegmentName {
        let parts = text.split(separator: "/").compactMap { UInt64($0) }
        return SegmentName(timeline: TimelineID(UInt32(parts[0])), number: parts[1], segmentSize: size)
    }

    static func short(_ first: SegmentName, _ last: SegmentName) -> String {
        [first, last].map { "\($0.timeline)/\($0.number(segmentSize: size))" }.joined(separator: "-")
    }

    private static func position(_ hundredths: UInt64) -> LSN { LSN(hundredths * UInt64(size) / 100) }

    static func archive(_ gap: ForkGap) throws -> FixtureRepository {
        let repository = try FixtureRepository(storing: [])
        for text in gap.files.split(separator: " ") {
            let name = try name(text)
            let bytes = switchedSegment(name, size: size, systemIdentifier: repository.incarnation.systemIdentifier)
            try repository.put(
                bytes, name.description, summary: FixtureRepository.scan(bytes, name.description).encode())
        }
        if let partial = gap.partial {
            try repository.store.createFile(
                repository.incarnation.partial(name(partial)), bytes: [UInt8](repeating: 0, count: Int(size)))
        }
        for (timeline, ancestors) in gap.histories {
            let text = ancestors.map { "\($0.left)\t\(position($0.at))\tno recovery target specified\n" }.joined()
            try repository.store.createFile(
                repository.incarnation.history(TimelineID(timeline)), bytes: Array(text.utf8))
        }
        for (number, backup) in try backups(gap).enumerated() {
            let time = Moment(microseconds: 1_700_000_000_000_000 + Int64(number) * 1_000_000).iso8601
            let segment = SegmentName(timeline: backup.timeline, containing: backup.start, segmentSize: size)
            let json = """
                {"label":"\(backup.label)","type":"full","start_time":"\(time)","stop_time":"\(time)",
                "start_lsn":"\(backup.start)","checkpoint_lsn":"\(backup.start)","stop_lsn":"\(backup.stop)",
                "timeline":\(backup.timeline),"start_segment":"\(segment)","stop_segment":"\(segment)",
                "system_identifier":"\(repository.incarnation.systemIdentifier)","major":15,"server_version":150020,
                "catalog_version":202209061,"segment_size":\(size),"from_standby":false,"file_count":1,"size":1,
                "stored_size":0,"packs":[],"tablespaces":[],"checksums":true,
                "verified_pages":1,"corrupt_pages":[],"settings":{},"pinned":false,
                "timings":{"checkpoint":1,"copy":1,"wal_wait":1,"total":1,"bytes":1}}
                """
            try repository.store.create(
                repository.incarnation.backupDescription(backup.label),
                SealedDocument(.backup, body: Array(json.utf8)))
        }
        return repository
    }

    private static func backups(_ gap: ForkGap) throws -> [BackupSpan] {
        try gap.backups.split(separator: " ").enumerated().map { number, text in
            let name = try name(text)
            let time = Moment(microseconds: 1_700_000_000_000_000 + Int64(number) * 1_000_000)
            return BackupSpan(
                label: "2023111\(4 + number)T221320Z-full", timeline: name.timeline,
                start: name.start(segmentSize: size) + 0x28, stop: name.start(segmentSize: size) + 0x100,
                startTime: time, stopTime: time)
        }
    }

    @Test(arguments: ForkGap.all)
    func `segments and verify report the same gaps`(_ gap: ForkGap) throws {
        let repository = try Self.archive(gap)
        let catalog = try repository.catalog()
        _ = try catalog.synchronize(jobs: 1)
        let report = try catalog.report(backups: Self.backups(gap))
        #expect(report.gaps.compactMap(\.missing).map { Self.short($0.first, $0.last) } == gap.gaps)
        #expect(report.gaps.allSatisfy { !$0.isExpired && $0.missing != nil })
        if gap.partial != nil {
            #expect(try report.gaps.map(\.cause) == [.unfinished(Self.name(#require(gap.partial)))])
        }
        let problems = try verifyArchive(
            of: repository.archive, backups: Self.backups(gap).compactMap(\.wal), jobs: 1
        ).problems
            .map(\.message).filter { $0.hasSuffix("missing") }
        #expect(problems == report.gaps.compactMap(\.missing).map { "WAL \($0.sentence)" })
    }

    @Test(arguments: ForkGap.all.filter { $0.unreached != nil })
    func `a plan reports the gap that ends every recovery`(_ gap: ForkGap) throws {
        let repository = try Self.archive(gap)
        defer { withExtendedLifetime(repository) {} }
        let source = ArchivePlanSource(archive: repository.archive, segmentSize: Self.size, backups: [], jobs: 1)
        let newest = gap.histories.keys.max().map { TimelineID($0) } ?? TimelineID(1)
        let path = try #require(try TimelinePath(to: newest, histories: source.histories(), known: true))
        let told = try Self.backups(gap).filter { path.contains($0.timeline, upTo: $0.stop) }.map { backup in
            let log = try ReplayWAL(
                backup: RestorableBackup(
                    label: backup.label, timeline: backup.timeline, start: backup.start, stop: backup.stop,
                    startTime: backup.startTime, stopTime: backup.stopTime, size: 1),
                path: path, archived: source.everySegment(), source: source, known: FactsStore())
            guard case .gap(let missing) = log.ending else { return "" }
            return missing.first.map { Self.short($0.first, $0.last) } ?? ""
        }
        // The planner names all of a gap that begins before the backup.
        #expect(try told.contains(#require(gap.isAll ? gap.ofBackup : gap.unreached)), "\(told)")
    }

    @Test(arguments: ForkGap.all)
    func `window and list report the gap that ends every recovery`(_ gap: ForkGap) throws {
        let repository = try Self.archive(gap)
        defer { withExtendedLifetime(repository) {} }
        let catalog = try repository.catalog()
        _ = try catalog.synchronize(jobs: 1)
        let windows = try catalog.windows(of: Self.backups(gap))
        let told = Set(
            windows.compactMap { window -> String? in
                guard case .missing(let gap) = window.ending else { return nil }
                return Self.short(gap.first, gap.last)
            })
        // A backup within the gap, whose own WAL is lost, sees only the rest of it.
        if let unreached = gap.unreached { #expect(told.contains(unreached)) }
        #expect(windows.contains { $0.isConsistent } != gap.isAll)
        if gap.gaps.isEmpty { #expect(told.isEmpty) }
        let behind = try catalog.gaps(after: Self.backups(gap), expired: SegmentSet(segmentSize: Self.size))
        #expect(behind.compactMap(\.missing).map { Self.short($0.first, $0.last) } == gap.gaps)
        for gap in behind { #expect(gap.missing.map(\.sentence) == gap.sentence) }
    }

    @Test(arguments: ForkGap.all)
    func `check and status report the same, and how far recovery reaches`(_ gap: ForkGap) throws {
        let repository = try Self.archive(gap)
        let now = Moment(microseconds: 1_700_000_100_000_000)
        let newest = gap.histories.keys.max().map { TimelineID($0) } ?? TimelineID(1)
        var observation = Observation(cluster: "main", now: now)
        let archive = try ArchiveObservation(
            of: repository.archive, timeline: newest, segmentSize: Self.size,
            policy: RetentionPolicy(), now: now)
        observation.archive = archive
        #expect(archive.gaps.map { Self.short($0.first, $0.last) } == gap.onHistory ?? gap.gaps)
        #expect(archive.newest?.timeline == newest)
        #expect(archive.unreached.map { Self.short($0.first, $0.last) } == gap.unreached)
        #expect((archive.windowStart != nil) != gap.isAll)
        #expect(!observation.reach.contains("no usable backup"))
        #expect(
            observation.reach.contains("but not to now") == (gap.unreached != nil && !gap.isAll),
            "\(observation.reach)")
        if let unreached = archive.unreached { #expect(observation.reach.contains(unreached.sentence)) }
    }
}

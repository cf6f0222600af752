import Backups
import Catalog
import Configuration
import Monitoring
import Planning
import Platform
import Recovery
import Repository
import Retention
import Support
import Testing
import WAL

/// Segments that all exist, but one of them doesn't continue the one before it, or is damaged.
@Suite struct BrokenLinkTests {
    private enum Fault: CaseIterable { case link, damage }
    private static let faulty = [Fault.link: "00000001000000000000000E", .damage: "00000001000000000000000D"]

    private func repository(_ fault: Fault, backups: [String]) throws -> FixtureRepository {
        let other = "00000001000000000000000D"
        let repository = try FixtureRepository(storing: WALFixture.segments("pg15").filter { $0 != other })
        try repository.addHistory()
        switch fault {
        case .link: try repository.addOther(other)
        case .damage:
            try repository.add(other)
            let path = try repository.store.path(repository.incarnation.segment(#require(SegmentName(other))))
            var bytes = try Files.read(path)
            for index in 60..<80 { bytes[index] ^= 0xA5 }
            try Files.remove(path)
            try createDurably(path, bytes: bytes)
        }
        for segment in backups {
            try AsideBranchTests.store(
                segment, segment, segment, in: repository, at: #require(Moment(iso8601: "2026-11-20T08:12:30Z")))
        }
        return repository
    }

    private struct Row: Sendable, CustomTestStringConvertible {
        let name: String
        var backups = ["00000001000000000000000A"]
        let target: @Sendable ([SegmentSummary]) throws -> RecoveryTarget
        /// The backup that is used; nil when the plan is refused.
        var serves: String?
        var testDescription: String { name }
    }

    @Test(arguments: [
        Row(name: "the end of the archive") { _ in RecoveryTarget(.latest) },
        Row(
            name: "the end of the archive, from a backup behind it",
            backups: ["00000001000000000000000A", "00000001000000000000000F"], target: { _ in RecoveryTarget(.latest) },
            serves: "00000001000000000000000F"),
        Row(
            name: "a time before it",
            target: { RecoveryTarget(.time(try #require($0[3].facts.firstCommit).time), inclusive: false) },
            serves: "00000001000000000000000A"),
        Row(name: "a time behind it") { RecoveryTarget(.time(try #require($0.last?.facts.firstCommit).time)) },
        Row(name: "a transaction behind it") { RecoveryTarget(.xid(try #require($0.last?.facts.firstCommit).xid)) },
        Row(name: "a position behind it") { _ in RecoveryTarget(.lsn(LSN(0xF0_1000))) },
    ])
    private func `a plan ends at a broken link, with a catalog or without`(_ row: Row) throws {
        for fault in Fault.allCases {
            let repository = try repository(fault, backups: row.backups)
            let summaries = try repository.names.map {
                try FixtureRepository.scan(WALFixture.unpacked("pg15", $0), $0)
            }
            let catalog = try repository.freshCatalog()
            for catalog in [catalog, nil] {
                let archive = try RecoveryArchive(
                    repository: Repository(repository.store), cluster: "main",
                    dataDirectory: repository.scratch.file("none"), jobs: 2)
                let request = PlanRequest(try row.target(summaries))
                if let label = row.serves {
                    let made = try archive.plan(request, usePartials: false, catalog: catalog)
                    #expect(made.backup.label == label)
                } else {
                    let refusal = try #require(throws: PlanRefusal.self) {
                        try archive.plan(request, usePartials: false, catalog: catalog)
                    }
                    guard case .broken(let found) = refusal.reason else {
                        Issue.record("\(fault), \(catalog == nil): \(refusal.message) \(refusal.detail ?? "")")
                        continue
                    }
                    #expect(found.segment.description == BrokenLinkTests.faulty[fault])
                    #expect(!refusal.nearest.isEmpty)
                    for offer in refusal.nearest { #expect(!offer.arguments.contains("latest"), "\(offer)") }
                }
            }
        }
    }

    @Test func `the window and check report it`() throws {
        for fault in Fault.allCases {
            let segment = BrokenLinkTests.faulty[fault]!
            let name = try #require(SegmentName(segment))
            let repository = try repository(fault, backups: ["00000001000000000000000A"])
            let catalog = try repository.freshCatalog()
            let spans = try repository.archive.listBackups().complete.map {
                BackupSpan(
                    label: $0.label, timeline: $0.timeline, start: $0.startLSN, stop: $0.stopLSN,
                    startTime: $0.startTime, stopTime: $0.stopTime)
            }
            let windows = try catalog.windows(of: spans)
            #expect(windows.count == 1)
            guard case .unusable(let found)? = windows.first?.ending, found.segment == name else {
                Issue.record("\(windows)")
                continue
            }
            let archive = try ArchiveObservation(
                of: repository.archive, timeline: TimelineID(2), segmentSize: 1 << 20,
                policy: RetentionPolicy(), now: Moment(microseconds: Clock.now), breaks: catalog.breaks())
            #expect(archive.gaps.first?.stop?.segment == name)
            #expect(archive.unreached?.stop?.segment == name)
            #expect(archive.windowEnd == archive.reachEnd && archive.reachEnd != nil)
            var observation = Observation(cluster: "main", now: Moment(microseconds: Clock.now))
            observation.archive = archive
            let text = "repository = '/r'\n[cluster main]\ndata_directory = '/d'\n"
            let configuration = try Configuration(parsing: text, file: "t.conf")
            let results = judge(observation, by: configuration.checks(for: configuration.clusters[0]))
            for check in ["wal_continuity", "recovery_window", "rpo"] {
                let result = try #require(results.first { $0.id == check })
                #expect(result.status == .critical, "\(result)")
                #expect("\(result)".contains(segment), "\(result)")
            }
        }
    }

    @Test func `a broken link before the newest backup leaves its window whole`() throws {
        let repository = try repository(.link, backups: ["00000001000000000000000A", "00000001000000000000000F"])
        let archive = try ArchiveObservation(
            of: repository.archive, timeline: TimelineID(2), segmentSize: 1 << 20,
            policy: RetentionPolicy(), now: Moment(microseconds: Clock.now),
            breaks: repository.freshCatalog().breaks())
        #expect(archive.gaps.count == 1)
        #expect(archive.unreached == nil)
        #expect(archive.windowStart != nil)
    }
}

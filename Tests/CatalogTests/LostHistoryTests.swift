import Archiving
import Backups
import Catalog
import Glibc
import Monitoring
import Planning
import Platform
import Recovery
import Repository
import Retention
import Support
import Testing
import WAL

/// A timeline whose history file isn't in the archive.
@Suite struct LostHistoryTests {
    @Test func `every command reports a missing history file where the segments show that there was one`() throws {
        let repository = try FixtureRepository()
        let (store, incarnation) = (repository.store, repository.incarnation)
        try AsideBranchTests.store(
            "a", "00000001000000000000000A", "00000001000000000000000A", in: repository,
            at: #require(Moment(iso8601: "2026-11-20T08:12:30Z")))
        func found() throws -> (lost: [LostHistory], problems: [String], plan: Result<Plan, any Error>) {
            let catalog = try repository.freshCatalog()
            let problems = try verifyArchive(of: repository.archive, jobs: 1).problems.map(\.message)
            var results: [Result<Plan, any Error>] = []
            for catalog in [catalog, nil] {
                let archive = try RecoveryArchive(
                    repository: Repository(store), cluster: "main", dataDirectory: repository.scratch.file("none"),
                    jobs: 1)
                results.append(
                    Result {
                        try archive.plan(PlanRequest(RecoveryTarget(.latest)), usePartials: false, catalog: catalog)
                    })
            }
            #expect(results.map { try? $0.get().end }.allSatisfy { $0 == (try? results[0].get().end) })
            let refusals = results.map { result in
                if case .failure(let error) = result { "\(error)" } else { "" }
            }
            #expect(refusals[0] == refusals[1])
            return (try catalog.lostHistories(), problems, results[0])
        }
        let whole = try found()
        #expect(whole.lost.isEmpty && whole.problems.isEmpty)
        #expect(try whole.plan.get().timeline == TimelineID(2))

        try store.remove(incarnation.history(TimelineID(2)))
        let bare = try found()
        #expect(bare.lost.map(\.message) == ["timeline history file \"00000002.history\" is missing"])
        #expect(bare.lost.map(\.parent) == [TimelineID(1)] && bare.lost.map(\.isDamaged) == [false])
        #expect(bare.problems.contains("timeline history file \"00000002.history\" is missing"))
        let refusal = try #require(throws: PlanRefusal.self) { try bare.plan.get() }
        guard case .lostHistory(let lost) = refusal.reason else {
            Issue.record("\(refusal.message) \(refusal.detail ?? "")")
            return
        }
        #expect(lost.timeline == TimelineID(2))
        #expect(refusal.nearest.map { $0.arguments.joined(separator: " ") } == ["--target latest --target-timeline 1"])

        // check names a missing segment beside it.
        let own = repository.names.filter { $0.hasPrefix("00000001") }.sorted()
        let gone = try #require(SegmentName(own[own.count - 2]))
        let object = try store.read(incarnation.segment(gone))
        try store.remove(incarnation.segment(gone))
        let observed = try ArchiveObservation(
            of: repository.archive, timeline: TimelineID(2), segmentSize: 16 << 20, policy: RetentionPolicy(),
            now: #require(Moment(iso8601: "2026-11-20T08:12:30Z")))
        #expect(observed.historyProblem == bare.lost[0].message)
        #expect(observed.gaps.map(\.sentence) == ["segment \"\(gone)\" is missing"], "\(observed.gaps) \(own)")
        try store.create(incarnation.segment(gone), bytes: object)

        // Nothing tells which timeline it began on when its first segment is missing as well, or can't be read.
        let names = repository.names.filter { $0.hasPrefix("00000002") }
        let beginning = try #require(names.min().flatMap(SegmentName.init))
        let kept = try store.read(incarnation.segment(beginning))
        try replaceDurably(store.path(incarnation.segment(beginning)), bytes: [1, 2, 3])
        for isThere in [true, false] {
            if !isThere { try store.remove(incarnation.segment(beginning)) }
            let orphan = try found()
            #expect(orphan.lost.map(\.message) == bare.lost.map(\.message) && orphan.lost.map(\.parent) == [nil])
            #expect(orphan.problems.contains("timeline history file \"00000002.history\" is missing"))
            let refusal = try #require(throws: PlanRefusal.self) { try orphan.plan.get() }
            #expect("\(refusal)".contains("00000002.history"), "\(refusal)")
        }
        try store.create(incarnation.segment(beginning), bytes: kept)

        // An archive that began on that timeline lacks no parent.
        for name in repository.names where name < "000000020000000000000011" {
            try store.remove(incarnation.segment(#require(SegmentName(name))))
        }
        #expect(try repository.freshCatalog().lostHistories().isEmpty)
    }

    /// Then no segment of the timeline has a page of its parent; the record with which it begins shows that there is
    /// one.
    @Test func `a missing history is noticed as well where the timeline begins on a segment boundary`() throws {
        let repository = try FixtureRepository()
        let (store, incarnation) = (repository.store, repository.incarnation)
        let first = "000000020000000000000010"
        let bytes = try WALFixture.unpacked("pg15", first)
        var summary = try FixtureRepository.scan(bytes, first)
        #expect(summary.firstTimeline == TimelineID(1) && !summary.facts.timelineSwitches.isEmpty)
        summary.firstTimeline = TimelineID(2)
        try store.remove(incarnation.segment(#require(SegmentName(first))))
        try repository.put(bytes, first, summary: summary.encode())
        #expect(try repository.freshCatalog().lostHistories().isEmpty)
        try store.remove(incarnation.history(TimelineID(2)))
        #expect(try repository.freshCatalog().lostHistories().map(\.parent) == [TimelineID(1)])
        // Nothing else is left that could lead to it.
        for name in repository.names where name < first {
            try store.remove(incarnation.segment(#require(SegmentName(name))))
        }
        #expect(try repository.freshCatalog().lostHistories().isEmpty)
    }

    @Test func `a damaged history leads nowhere, hides nothing else, and can be stored again`() throws {
        let repository = try FixtureRepository()
        let (store, incarnation) = (repository.store, repository.incarnation)
        let key = incarnation.history(TimelineID(2))
        let text = try #require(try repository.archive.history(TimelineID(2)))
        try AsideBranchTests.store(
            "a", "00000001000000000000000A", "00000001000000000000000A", in: repository,
            at: #require(Moment(iso8601: "2026-11-20T08:12:30Z")))
        let catalog = try repository.catalog()
        _ = try catalog.synchronize(jobs: 1)
        let whole = try CatalogTests().contents(catalog)
        var object = try store.read(key)
        object[object.count / 2] ^= 0xFF
        try store.remove(key)
        try store.create(key, bytes: object)

        _ = try catalog.synchronize(jobs: 1)
        #expect(try CatalogTests().contents(catalog) == CatalogTests().contents(repository.freshCatalog()))
        let lost = try catalog.lostHistories()
        #expect(lost.map(\.message) == ["timeline history file \"00000002.history\" is damaged"])
        let backup = try #require(repository.archive.listBackups().complete.first)
        let span = BackupSpan(
            label: backup.label, timeline: backup.timeline, start: backup.startLSN, stop: backup.stopLSN,
            startTime: backup.startTime, stopTime: backup.stopTime)
        #expect(try catalog.windows(of: [span]).map(\.timeline) == [TimelineID(1)])
        #expect(try verifyArchive(of: repository.archive, jobs: 1).problems.count == 1)
        // PostgreSQL requests the file before the recovered server chooses a number, whatever it follows.
        for catalog in [catalog, nil] {
            for timeline in [RecoveryTarget.Timeline.own, .latest, .number(TimelineID(1))] {
                let archive = try RecoveryArchive(
                    repository: Repository(store), cluster: "main", dataDirectory: repository.scratch.file("none"),
                    jobs: 1)
                let refusal = try #require(throws: PlanRefusal.self) {
                    try archive.plan(
                        PlanRequest(RecoveryTarget(.latest, timeline: timeline)), usePartials: false, catalog: catalog)
                }
                #expect(refusal.detail?.contains("\"00000002.history\" is damaged") == true, "\(refusal)")
                #expect(refusal.hint?.contains("put-aside 00000002.history") == true, "\(refusal)")
            }
        }
        // check reports it, whatever timeline the server is on.
        let observed = try ArchiveObservation(
            of: repository.archive, timeline: TimelineID(1), segmentSize: 16 << 20,
            policy: RetentionPolicy(), now: backup.stopTime)
        #expect(observed.damagedHistory?.message == lost.first?.message)

        // Nothing shows that the folder has changed.
        let path = store.path(key)
        try store.remove(key)
        try store.createFile(key, bytes: text)
        func age() throws { _ = try run("/usr/bin/touch", ["-d", "2020-01-01", Files.parent(path)]) }
        try age()
        _ = try catalog.synchronize(jobs: 1)
        #expect(try CatalogTests().contents(catalog) == whole)
        let file = try Descriptor(open: path, O_RDWR)
        try object.withUnsafeBytes { try file.write($0, at: 0, path: path) }
        try age()
        _ = try catalog.synchronize(jobs: 1)
        #expect(try catalog.lostHistories() == lost)
    }
}

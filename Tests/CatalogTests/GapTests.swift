import Platform
import Repository
import Support
import Testing
import WAL

@testable import Catalog

/// Why segments are missing, where the others show it.
@Suite struct GapTests {
    private func remove(_ name: String, from repository: FixtureRepository) throws {
        try Files.remove(repository.store.path(repository.incarnation.segment(#require(SegmentName(name)))))
    }

    private func gaps(_ repository: FixtureRepository, _ backups: [BackupSpan] = []) throws -> [WALGap] {
        let catalog = try repository.catalog()
        _ = try catalog.synchronize(jobs: 1)
        return try catalog.report(backups: backups).gaps
    }

    @Test func `the cause of a gap is named`() throws {
        let repository = try FixtureRepository()
        #expect(try gaps(repository).isEmpty)
        let lost = "00000001000000000000000B"
        try remove(lost, from: repository)
        var found = try gaps(repository)
        #expect(found.map(\.cause) == [.missing])
        #expect(found.map(\.firstMissing?.description) == [lost])

        // Where a backup ended says nothing about the reason: what `expire` removed is known from its records and the
        // rules.
        func backup(_ label: String, stop: UInt64) -> BackupSpan {
            BackupSpan(
                label: label, timeline: TimelineID(1), start: LSN(0x90_0028), stop: LSN(stop),
                startTime: Moment(microseconds: 1), stopTime: Moment(microseconds: 2))
        }
        for stop in [0x9F_FFFF, 0xA0_0100, 0xB0_0000, 0xC0_0100] as [UInt64] {
            #expect(try gaps(repository, [backup("a", stop: stop)]).map(\.cause) == [.missing], "\(stop)")
        }

        try repository.store.createFile(
            repository.incarnation.partial(#require(SegmentName(lost))), bytes: [UInt8](repeating: 0, count: 1 << 20))
        found = try gaps(repository)
        #expect(try found.map(\.cause) == [.unfinished(#require(SegmentName(lost)))])
    }

    @Test func `the transactions around a time are found across a gap, which is reported`() throws {
        let repository = try FixtureRepository()
        let catalog = try repository.catalog()
        _ = try catalog.synchronize(jobs: 1)
        let lost = try #require(SegmentName("00000001000000000000000B"))
        let last = try #require(catalog.nearestWithCommits(of: TimelineID(1), 0...10, fromEnd: true)?.lastCommit)
        func around() throws -> Surroundings? { try catalog.surroundings(of: last.time, on: TimelineID(1), count: 3) }
        let whole = try #require(try around())
        #expect(whole.gaps.isEmpty && whole.before.last?.mark == last && !whole.after.isEmpty)

        try remove(lost.description, from: repository)
        _ = try catalog.synchronize(jobs: 1)
        let torn = try #require(try around())
        #expect(torn.before == whole.before)
        #expect(torn.gaps.map(\.first) == [lost] && torn.gaps.map(\.last) == [lost])
        #expect(torn.after.allSatisfy { $0.mark.lsn >= lost.end(segmentSize: 1 << 20) } && !torn.after.isEmpty)

        var expired = SegmentSet(segmentSize: 1 << 20)
        expired.insert(lost)
        let removed = try catalog.surroundings(of: last.time, on: TimelineID(1), count: 3, expired: expired)
        #expect(removed?.gaps.isEmpty == true && removed?.removed == torn.gaps && torn.removed.isEmpty)
        #expect(removed?.before == torn.before && removed?.after == torn.after)
    }

    @Test func `a segment that only another timeline has is reported as such`() throws {
        let repository = try FixtureRepository()
        // The old server continued after the promotion, but its first segment from then was never archived.
        let later = "000000010000000000000011"
        try repository.put(WALFixture.unpacked("pg15", "00000001000000000000000F"), later, summary: [])
        #expect(try gaps(repository).first?.cause == .elsewhere(TimelineID(2)))
    }
}

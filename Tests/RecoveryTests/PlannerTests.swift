import Planning
import Platform
import Recovery
import Testing
import WAL

private struct Expectation: Sendable, CustomTestStringConvertible {
    let point: RecoveryTarget.Point
    var inclusive = true
    let backup: String
    let last: UInt32?
    let first: UInt32?
    var testDescription: String { "\(point) \(inclusive ? "inclusive" : "exclusive")" }
}

@Suite struct PlannerTests {
    @Test(arguments: [
        Expectation(point: .time(second(12.5)), backup: "a", last: 112, first: 113),
        Expectation(point: .time(second(12)), backup: "a", last: 112, first: 113),
        Expectation(point: .time(second(12)), inclusive: false, backup: "a", last: 111, first: 112),
        // The abort at second 10 stops an exclusive recovery; it is no transaction that can be missing.
        Expectation(point: .time(second(10)), inclusive: false, backup: "a", last: 109, first: 111),
        Expectation(point: .time(second(10)), backup: "a", last: 109, first: 111),
        Expectation(point: .time(second(30)), backup: "b", last: 129, first: 131),
        Expectation(point: .time(second(20.5)), backup: "b", last: nil, first: 121),
        Expectation(point: .time(second(20.4)), backup: "a", last: 119, first: 121),
        Expectation(point: .xid(125), backup: "b", last: 125, first: 126),
        Expectation(point: .xid(125), inclusive: false, backup: "b", last: 124, first: 125),
        Expectation(point: .xid(105), backup: "a", last: 105, first: 106),
        Expectation(point: .xid(110), backup: "a", last: 109, first: 111),
        Expectation(point: .name("before_release"), backup: "a", last: 114, first: 115),
        Expectation(point: .name("nightly"), backup: "b", last: 129, first: 131),
        Expectation(point: .immediate, backup: "b", last: nil, first: 121),
        Expectation(point: .latest, backup: "b", last: 139, first: nil),
    ])
    private func `predicts what PostgreSQL's rules decide`(_ row: Expectation) throws {
        let made = try plan(PlanRequest(RecoveryTarget(row.point, inclusive: row.inclusive)), from: oneTimeline())
        #expect(made.backup.label == row.backup)
        #expect(made.lastIncluded?.xid == row.last)
        #expect(made.firstExcluded?.xid == row.first)
    }

    @Test func `an LSN is compared with the start of every record`() throws {
        let archive = oneTimeline()
        let records = archive.records[TimelineID(1)]!
        let commit = records.first { $0.content.commit?.xid == 107 }!
        func last(_ lsn: LSN, _ inclusive: Bool) throws -> UInt32? {
            try plan(PlanRequest(RecoveryTarget(.lsn(lsn), inclusive: inclusive)), from: archive).lastIncluded?.xid
        }
        #expect(try last(commit.start, true) == 107)
        #expect(try last(commit.start, false) == 106)
        #expect(try last(LSN(commit.start.rawValue - 1), true) == 107)
        #expect(try last(LSN(commit.start.rawValue + 1), false) == 107)
        #expect(try last(LSN(commit.start.rawValue + 1), true) == 108)
    }

    @Test func `of restore points with one name the first after the backup counts, and the others are named`() throws {
        var archive = ConstructedArchive()
        var log = WALWriter()
        archive.allBackups.append(log.backup("a", second(0)))
        log.commit(101, second(1))
        log.restorePoint("x", second(2))
        log.commit(102, second(3))
        archive.allBackups.append(log.backup("b", second(4)))
        log.commit(103, second(5))
        log.restorePoint("x", second(6))
        log.commit(104, second(7))
        log.restorePoint("x", second(8))
        log.commit(105, second(9))
        archive.records[TimelineID(1)] = log.written
        let made = try plan(PlanRequest(RecoveryTarget(.name("x"))), from: archive)
        #expect(made.backup.label == "b")
        #expect(made.lastIncluded?.xid == 103)
        #expect(made.warnings.count == 1)
        #expect(made.warnings[0].contains("exists 3 times"))
        let older = try plan(PlanRequest(RecoveryTarget(.name("x")), backup: "a"), from: archive)
        #expect(older.lastIncluded?.xid == 101)
    }

    @Test func `commit times that run backwards stop the recovery early, and the plan says what is left out`() throws {
        var archive = ConstructedArchive()
        var log = WALWriter()
        archive.allBackups.append(log.backup("a", second(0)))
        log.commit(101, second(1))
        log.commit(102, second(3))
        log.commit(103, second(2))
        log.commit(104, second(4))
        archive.records[TimelineID(1)] = log.written
        let made = try plan(PlanRequest(RecoveryTarget(.time(second(2.5)))), from: archive)
        #expect(made.lastIncluded?.xid == 101)
        #expect(made.firstExcluded?.xid == 102)
        #expect(made.warnings.contains { $0.contains("103") && $0.contains("--target-lsn") })
    }

    @Test func `a backup that isn't consistent by the target is passed over for the one before`() throws {
        var archive = ConstructedArchive()
        var log = WALWriter()
        archive.allBackups.append(log.backup("a", second(0)))
        log.commit(101, second(1))
        let start = log.other().start
        // Committed while the backup ran, by a clock that was ahead.
        log.commit(102, second(9))
        let stop = log.other().end
        archive.allBackups.append(
            RestorableBackup(
                label: "b", timeline: TimelineID(1), start: start, stop: stop, startTime: second(2),
                stopTime: second(3), size: 1))
        log.commit(103, second(4))
        log.commit(104, second(10))
        archive.records[TimelineID(1)] = log.written
        let made = try plan(PlanRequest(RecoveryTarget(.time(second(5)))), from: archive)
        #expect(made.backup.label == "a")
        #expect(made.lastIncluded?.xid == 101)
        #expect(made.warnings.contains { $0.contains("\"b\" is passed over") })
    }

    @Test func `timelines that begin after the target are left out of the path`() throws {
        var archive = oneTimeline()
        let old = archive.records[TimelineID(1)]!
        // Timeline 2 branches off before the end of transaction 130, in the middle of segment 2.
        let branch = old.first { $0.content.transactionEnd?.xid == 130 }!.start
        var new = WALWriter(at: branch)
        new.written = old.filter { $0.start < branch }
        for n in 1...40 { new.commit(UInt32(200 + n), second(Double(100 + n))) }
        archive.records[TimelineID(2)] = new.written.filter { $0.end.rawValue > branch.rawValue & ~0xFFFF }
        archive.allHistories[TimelineID(2)] = TimelineHistory(
            timeline: TimelineID(2), ancestors: [.init(timeline: TimelineID(1), switchPoint: branch)])
        let here = living(on: 2)
        let after = try plan(PlanRequest(RecoveryTarget(.time(second(110))), known: here), from: archive)
        #expect(after.path.steps.map(\.timeline.rawValue) == [1, 2])
        #expect(after.lastIncluded?.xid == 210)
        let before = try plan(PlanRequest(RecoveryTarget(.time(second(28))), known: here), from: archive)
        #expect(before.timeline == TimelineID(1))
        #expect(before.lastIncluded?.xid == 128)
        // The record that stops this recovery is the new timeline's first.
        let between = try plan(PlanRequest(RecoveryTarget(.time(second(29))), known: here), from: archive)
        #expect(between.timeline == TimelineID(2))
        #expect(between.firstExcluded?.xid == 201)
        // On the old timeline, other transactions follow the same moment.
        let other = try plan(
            PlanRequest(RecoveryTarget(.time(second(29)), timeline: .number(TimelineID(1)))), from: archive)
        #expect(other.firstExcluded?.xid == 131)
        // While the new timeline's first segment is missing, only earlier points can be reached.
        archive.records[TimelineID(2)] = []
        let early = PlanRequest(RecoveryTarget(.time(second(28))), known: here)
        #expect(try plan(early, from: archive).lastIncluded?.xid == 128)
        let refusal = try #require(throws: PlanRefusal.self) {
            try plan(PlanRequest(RecoveryTarget(.time(second(110))), known: here), from: archive)
        }
        #expect(refusal.reason == .timelineNotArchived(TimelineID(2), begin: branch))
        // The archive of the new timeline's history ends where it begins.
        let latest = try plan(PlanRequest(RecoveryTarget(.latest), known: here), from: archive)
        #expect(latest.told == RecoveryTarget(.lsn(branch), inclusive: false, timeline: .number(TimelineID(1))))
        #expect(latest.end == branch)
        #expect(latest.lastIncluded?.xid == 129)
        #expect(latest.firstExcluded == nil)
    }

    @Test func `a parent's WAL in segments that its child has not reached doesn't count`() throws {
        var archive = oneTimeline()
        let old = archive.records[TimelineID(1)]!
        let branch = old.first { $0.content.transactionEnd?.xid == 104 }!.start
        var new = WALWriter(at: branch)
        new.timeline = TimelineID(2)
        new.written = old.filter { $0.start < branch }
        new.commit(201, second(101))
        archive.allBackups.append(new.backup("c", second(102)))
        new.commit(202, second(103))
        archive.records[TimelineID(2)] = new.written.filter { $0.end.rawValue > branch.rawValue & ~0xFFFF }
        archive.allHistories[TimelineID(2)] = TimelineHistory(
            timeline: TimelineID(2), ancestors: [.init(timeline: TimelineID(1), switchPoint: branch)])
        // Timeline 1 has segments after the last one of timeline 2.
        #expect(
            archive.segments().runs(of: TimelineID(1)).last!.upperBound
                > archive.segments().runs(of: TimelineID(2)).last!.upperBound)
        let here = living(on: 2)
        let immediate = try plan(PlanRequest(RecoveryTarget(.immediate), backup: "c", known: here), from: archive)
        #expect(immediate.lastIncluded == nil)
        #expect(immediate.firstExcluded?.xid == 202)
        for backup in ["a", "c"] {
            let latest = try plan(PlanRequest(RecoveryTarget(.latest), backup: backup, known: here), from: archive)
            #expect(latest.told == RecoveryTarget(.latest))
            #expect(latest.path.steps.map(\.timeline.rawValue) == [1, 2])
            #expect(latest.lastIncluded?.xid == 202)
        }
        let refusal = try #require(throws: PlanRefusal.self) {
            try plan(PlanRequest(RecoveryTarget(.time(second(110))), known: living(on: 2)), from: archive)
        }
        #expect(refusal.reason == .afterLast(new.written.last?.content.commit, end: new.written.last!.end))
    }

    @Test func `where two timelines begin in one segment, its substitute is read to its own end`() throws {
        var archive = oneTimeline()
        let old = archive.records[TimelineID(1)]!
        let (second, third) = (old.first { $0.content.transactionEnd?.xid == 103 }!.start, LSN(0x100_A028))
        #expect(second < third)
        archive.allHistories[TimelineID(3)] = TimelineHistory(
            timeline: TimelineID(3),
            ancestors: [
                .init(timeline: TimelineID(1), switchPoint: second), .init(timeline: TimelineID(2), switchPoint: third),
            ])
        let latest = try plan(PlanRequest(RecoveryTarget(.latest, timeline: .number(TimelineID(3)))), from: archive)
        #expect(latest.end == second)
        #expect(latest.lastIncluded?.xid == 102)
        #expect(latest.timeline == TimelineID(1))
    }

    @Test func `records across segment boundaries are seen`() throws {
        var archive = ConstructedArchive()
        var log = WALWriter(at: LSN(0x100_0028), step: 40_000)
        archive.allBackups.append(log.backup("a", second(0)))
        for n in 1...30 { log.commit(UInt32(100 + n), second(Double(n))) }
        archive.records[TimelineID(1)] = log.written
        for n in 1...29 {
            let made = try plan(PlanRequest(RecoveryTarget(.time(second(Double(n) + 0.5)))), from: archive)
            #expect(made.lastIncluded?.xid == UInt32(100 + n))
            #expect(made.firstExcluded?.xid == UInt32(101 + n))
            let stop = try #require(made.stop)
            #expect(made.segments.last!.last.end(segmentSize: 65_536) >= stop.record.end)
        }
    }

    /// The rows: how far behind the end's segment the damage is, whether it is known, the server's version, how much of
    /// each 64 kB segment is WAL, and whether the server could ask for it.
    @Test(arguments: [
        (1, true, 15, 65_536, true), (1, false, 15, 65_536, true), (1, true, 14, 65_536, false),
        (1, false, 18, 65_536, true), (64, false, 15, 65_536, true), (100, true, 16, 65_536, true),
        (300, true, 15, 65_536, false), (65, false, 15, 65_536, false), (300, true, 15, 256, true),
    ])
    func `only damage that a server may read ahead to counts`(
        _ segments: Int, isKnown: Bool, version: Int, length: UInt64, reaches: Bool
    ) throws {
        var archive = ConstructedArchive(majorVersion: version)
        var log = WALWriter(step: 64)
        archive.allBackups.append(log.backup("a", second(0)))
        log.commit(101, second(1))
        log.commit(102, second(2))
        for n in 1...320 {
            log.position = LSN(0x100_0000 + UInt64(n) * 65_536)
            for step in [64, length - 128, 64] {
                log.step = step
                log.other()
            }
        }
        archive.records[TimelineID(1)] = log.written
        let damaged = SegmentName(
            timeline: TimelineID(1), containing: LSN(0x100_0000 + UInt64(segments) * 65_536), segmentSize: 65_536)
        if isKnown { archive.broken = damaged } else { archive.unreadable = damaged }
        let made = try plan(PlanRequest(RecoveryTarget(.time(second(1)))), from: archive)
        #expect(made.faultAhead?.segment == (reaches ? damaged : nil))
    }
}

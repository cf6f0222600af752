import Planning
import Recovery
import Testing
import WAL

/// Timeline 1 with backup "a" and commits 101 to 120, one a second; timeline 2 leaves it before the end of 111 and has
/// commits 201 to 210 from second 101 on.
private func twoBranches() -> ConstructedArchive {
    var archive = ConstructedArchive()
    var log = WALWriter()
    archive.allBackups.append(log.backup("a", second(0)))
    for n in 1...20 {
        if n == 11 {
            archive.branch(2, from: 1, log) { for n in 1...10 { $0.commit(UInt32(200 + n), second(Double(100 + n))) } }
        }
        if n == 5 { log.restorePoint("both", second(4.5)) }
        if n == 15 { log.restorePoint("old", second(14.5)) }
        log.commit(UInt32(100 + n), second(Double(n)))
    }
    archive.records[TimelineID(1)] = log.written
    return archive
}

extension ConstructedArchive {
    /// A timeline that leaves another where `log` is now.
    mutating func branch(
        _ number: UInt32, from parent: UInt32, _ log: WALWriter, _ write: (inout WALWriter) -> Void
    ) {
        var new = WALWriter(at: log.position, step: log.step)
        new.timeline = TimelineID(number)
        new.written = log.written
        write(&new)
        let size = UInt64(segmentSize)
        records[TimelineID(number)] = new.written.filter { $0.end.rawValue > log.position.rawValue / size * size }
        let older = allHistories[TimelineID(parent)]?.ancestors ?? []
        allHistories[TimelineID(number)] = TimelineHistory(
            timeline: TimelineID(number),
            ancestors: older + [.init(timeline: TimelineID(parent), switchPoint: log.position)])
    }
}

/// The server in this directory died on a timeline, after writing up to a position.
private func died(on timeline: UInt32, at position: LSN) -> KnownPlace {
    KnownPlace(
        timeline: TimelineID(timeline), position: position, takesWrites: false, witness: "Data directory \"/data\" was")
}

private struct Where: Sendable, CustomTestStringConvertible {
    let name: String
    var known: KnownPlace?
    var prepare: @Sendable (inout ConstructedArchive) -> Void = { _ in }
    var target = RecoveryTarget(.latest)
    /// Nil when the planner asks for it.
    let timeline: UInt32?
    var last: UInt32?
    var warns: [String] = []
    var testDescription: String { name }
}

@Suite struct BranchTests {
    @Test(arguments: [
        Where(
            name: "a server that takes writes on the older timeline", known: living(on: 1), timeline: 1, last: 120,
            warns: [
                "Timeline 2 is not followed", "last transaction is 210", "The server in \"/data\" is on timeline 1",
                "--target-timeline 2", "tidemark segments put-aside 00000002.history",
            ]),
        Where(name: "a server that takes writes on the newer timeline", known: living(on: 2), timeline: 2, last: 210),
        Where(
            name: "a server that died on the older timeline after the newer one had left it",
            known: died(on: 1, at: LSN(0x102_0028)), timeline: 1, last: 120,
            warns: ["Data directory \"/data\" was on timeline 1", "--target-timeline 2"]),
        Where(
            name: "a server that died on the older timeline before the newer one left it",
            known: died(on: 1, at: LSN(0x100_4028)), timeline: nil),
        Where(
            name: "one that died there, and all that is on the older timeline came before the newer one left it",
            known: died(on: 1, at: LSN(0x100_4028)),
            prepare: { $0.records[TimelineID(1)]!.removeAll { ($0.content.transactionEnd?.xid ?? 0) > 110 } },
            timeline: 2, last: 210),
        Where(
            name: "a server that died on the newer timeline", known: died(on: 2, at: LSN(0x102_0028)), timeline: 2,
            last: 210),
        Where(name: "nothing is known, and both went on", timeline: nil),
        Where(
            name: "nothing is known, and the older one did not go on",
            prepare: { $0.records[TimelineID(1)]!.removeAll { ($0.content.transactionEnd?.xid ?? 0) > 110 } },
            timeline: 2, last: 210),
        Where(
            name: "nothing is known, and the newer one has no transaction",
            prepare: { archive in
                archive.records[TimelineID(2)]!.removeAll { ($0.content.transactionEnd?.xid ?? 0) > 200 }
            }, timeline: 1, last: 120, warns: ["Timeline 2 is not followed: it left timeline 1 at LSN"]),
        Where(
            name: "nothing is known, but a backup was taken on the newer one",
            prepare: { archive in
                let last = archive.records[TimelineID(2)]!.first { $0.content.commit?.xid == 203 }!
                archive.allBackups.append(
                    RestorableBackup(
                        label: "n", timeline: TimelineID(2), start: last.start, stop: last.end, startTime: second(103),
                        stopTime: second(103), size: 1))
            }, timeline: 2, last: 210,
            warns: ["Timeline 1 is not followed", "its last transaction is 120", "--target-timeline 1"]),
        Where(
            name: "the target lies before the two part", target: RecoveryTarget(.time(second(5.5))), timeline: 1,
            last: 105),
        Where(
            name: "a restore point before the two part", target: RecoveryTarget(.name("both")), timeline: 1, last: 104),
        Where(
            name: "a restore point that only one has", target: RecoveryTarget(.name("old")), timeline: 1, last: 114),
        Where(name: "a transaction that only one has", target: RecoveryTarget(.xid(204)), timeline: 2, last: 204),
        Where(
            name: "a time on the older one after the two part", target: RecoveryTarget(.time(second(15))), timeline: nil
        ),
    ])
    private func `the latest timeline is the cluster's, and is asked for where nothing tells it`(_ row: Where) throws {
        var archive = twoBranches()
        row.prepare(&archive)
        let request = PlanRequest(row.target, known: row.known)
        guard let timeline = row.timeline else {
            let refusal = try #require(throws: PlanRefusal.self) { try plan(request, from: archive) }
            guard case .severalBranches(let branches) = refusal.reason else {
                Issue.record("\(refusal.message): \(refusal.detail ?? "")")
                return
            }
            #expect(branches.map(\.timeline.rawValue) == [1, 2])
            #expect(refusal.message == "cannot tell which of timelines 1, 2 to follow")
            #expect(refusal.detail?.contains("its last transaction is 120") == true)
            try followOffers(of: refusal, archive, known: row.known)
            return
        }
        let made = try plan(request, from: archive)
        #expect(made.timeline == TimelineID(timeline), "\(made.warnings)")
        #expect(made.lastIncluded?.xid == row.last)
        for text in row.warns { #expect(made.warnings.contains { $0.contains(text) }, "\(made.warnings)") }
        if row.warns.isEmpty { #expect(made.warnings.filter { $0.contains("is not followed") } == []) }
    }

    private struct Elsewhere: Sendable, CustomTestStringConvertible {
        let name: String
        let target: RecoveryTarget
        var backup: String?
        var known = living(on: 2)
        var missing: [String] = []
        let message: String
        let detail: String
        /// What is offered, in order.
        let offers: [String]
        var testDescription: String { name }
    }

    /// Timeline 1: "ancient" and commit 90, backup "a", commits 101 to 140; timeline 2 leaves it before 111.
    private static func archive() -> ConstructedArchive {
        var archive = ConstructedArchive()
        var log = WALWriter()
        log.restorePoint("ancient", second(-9))
        log.commit(90, second(-8))
        archive.allBackups.append(log.backup("a", second(0)))
        for n in 1...40 {
            if n == 11 {
                archive.branch(2, from: 1, log) { new in
                    for n in 1...5 { new.commit(UInt32(200 + n), second(Double(100 + n))) }
                }
            }
            if n == 15 { log.restorePoint("old", second(14.5)) }
            log.commit(UInt32(100 + n), second(Double(n)))
        }
        archive.records[TimelineID(1)] = log.written
        return archive
    }

    @Test(arguments: [
        Elsewhere(
            name: "a restore point before the oldest backup", target: RecoveryTarget(.name("ancient")),
            message: "cannot reach restore point \"ancient\"",
            detail:
                "It was written at 2027-01-15 07:59:51+00 (LSN 0/01000028, timeline 1), before the end of the oldest "
                + "usable backup, \"a\": 2027-01-15 08:00:00+00 (LSN 0/01004028).",
            offers: ["--target immediate --backup a"]),
        Elsewhere(
            name: "a transaction before the oldest backup", target: RecoveryTarget(.xid(90)),
            message: "cannot reach transaction 90", detail: "It ended at 2027-01-15 07:59:52+00",
            offers: ["--target immediate --backup a"]),
        Elsewhere(
            name: "a restore point on the timeline that was left", target: RecoveryTarget(.name("old")),
            message: "cannot reach restore point \"old\"",
            detail: "timeline 2, which is followed, left timeline 1 at LSN 0/0100F028, before it.",
            offers: ["--target-name old --target-timeline 1"]),
        Elsewhere(
            name: "a transaction on a timeline that isn't followed", target: RecoveryTarget(.xid(203)),
            known: living(on: 1), message: "cannot reach transaction 203",
            detail: "timeline 1, which is followed, does not descend from timeline 2.",
            offers: ["--target-xid 203 --target-timeline 2"]),
        Elsewhere(
            name: "a time that only the timeline that was left knows", target: RecoveryTarget(.time(second(103))),
            known: living(on: 1), message: "cannot reach time 2027-01-15 08:01:43+00",
            detail: "timeline 2, which parts from it at LSN 0/0100F028 of timeline 1, has the target.",
            offers: ["--target-time '2027-01-15 08:01:43+00' --target-timeline 2", "--target latest"]),
        Elsewhere(
            name: "a transaction after a gap", target: RecoveryTarget(.xid(140)), known: living(on: 1),
            missing: ["000000010000000000000101"], message: "cannot reach transaction 140",
            detail: "WAL segment \"000000010000000000000101\" is missing.", offers: ["--target-lsn 0/0100E028"]),
        Elsewhere(
            name: "a restore point before the backup that was asked for", target: RecoveryTarget(.name("ancient")),
            backup: "a", message: "cannot reach restore point \"ancient\"", detail: "before the end of the oldest",
            offers: ["--target immediate --backup a"]),
        Elsewhere(
            name: "a transaction that is nowhere", target: RecoveryTarget(.xid(999)),
            message: "the end of transaction 999 is not in the archive", detail: "Only transactions that ended",
            offers: ["--target-xid 205"]),
        Elsewhere(
            name: "a timeline of which only a descendant is there",
            target: RecoveryTarget(.latest, timeline: .number(TimelineID(4))),
            message: "timeline 4 is not in the archive",
            detail:
                "Timeline 5 descends from timeline 4, but neither a segment nor the history file of 4 itself is there.",
            offers: ["--target latest --target-timeline 5"]),
    ])
    private func `a refusal says what is unknown, too early, on another timeline or after a gap`(
        _ row: Elsewhere
    ) throws {
        var archive = BranchTests.archive()
        archive.missing = Set(row.missing.map { SegmentName($0)! })
        if case .number = row.target.timeline {
            archive.allHistories[TimelineID(5)] = TimelineHistory(
                timeline: TimelineID(5),
                ancestors: [
                    .init(timeline: TimelineID(1), switchPoint: LSN(0x100_8028)),
                    .init(timeline: TimelineID(4), switchPoint: LSN(0x100_8028)),
                ])
        }
        let refusal = try #require(throws: PlanRefusal.self) {
            try plan(PlanRequest(row.target, backup: row.backup, known: row.known), from: archive)
        }
        #expect(refusal.message == row.message)
        #expect(refusal.detail?.contains(row.detail) == true, "\(refusal.detail ?? "no detail")")
        #expect(refusal.nearest.map { $0.arguments.joined(separator: " ") } == row.offers)
        try followOffers(of: refusal, archive, known: row.known)
    }

    /// Checks that everything the refusal offers can be planned.
    private func followOffers(of refusal: PlanRefusal, _ archive: ConstructedArchive, known: KnownPlace?) throws {
        #expect(!refusal.nearest.isEmpty)
        for offer in refusal.nearest {
            let request = try planRequest(offer.arguments, known)
            #expect(throws: Never.self, "\(offer.arguments)") { try plan(request, from: archive) }
        }
    }

    @Test func `where the clock was set back, an older backup reaches the times before it`() throws {
        var archive = ConstructedArchive()
        var log = WALWriter()
        archive.allBackups.append(log.backup("a", second(0)))
        log.commit(101, second(1))
        for n in 2...5 { log.commit(UInt32(100 + n), second(Double(600 + n))) }
        archive.allBackups.append(log.backup("b", second(6)))
        log.commit(106, second(7))
        archive.records[TimelineID(1)] = log.written
        let made = try plan(PlanRequest(RecoveryTarget(.time(second(603)))), from: archive)
        #expect(made.backup.label == "a")
        #expect(made.lastIncluded?.xid == 103)
        #expect(made.warnings.contains { $0.contains("\"b\" is passed over") }, "\(made.warnings)")
        // The last of all counts, because its time is the latest.
        let refusal = try #require(throws: PlanRefusal.self) {
            try plan(PlanRequest(RecoveryTarget(.time(second(9999)))), from: archive)
        }
        #expect(refusal.nearest.map { $0.arguments.joined(separator: " ") } == ["--target latest"])
    }

    @Test func `a time during a backup is reached from it when no transaction ended in between`() throws {
        var archive = ConstructedArchive()
        var log = WALWriter()
        let start = log.other().start
        log.commit(101, second(1))
        let stop = log.other().end
        archive.allBackups.append(
            RestorableBackup(
                label: "a", timeline: TimelineID(1), start: start, stop: stop, startTime: second(0),
                stopTime: second(5), size: 1))
        log.commit(102, second(6))
        archive.records[TimelineID(1)] = log.written
        #expect(try plan(PlanRequest(RecoveryTarget(.time(second(3)))), from: archive).lastIncluded?.xid == 101)
        let refusal = try #require(throws: PlanRefusal.self) {
            try plan(PlanRequest(RecoveryTarget(.time(second(0.5)))), from: archive)
        }
        #expect(
            refusal.detail
                == "Backup \"a\" is passed over: recovery would stop at LSN 0/01001028, before it is consistent at 0/01003028."
        )
        let early = try #require(throws: PlanRefusal.self) {
            try plan(PlanRequest(RecoveryTarget(.time(second(-1)))), from: archive)
        }
        #expect(early.reason == .beforeFirstBackup(archive.allBackups[0]))
    }
}

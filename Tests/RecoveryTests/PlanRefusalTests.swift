import Planning
import Platform
import Recovery
import Testing
import WAL

private struct Refused: Sendable, CustomTestStringConvertible {
    let target: RecoveryTarget
    var backup: String?
    let message: String
    let detail: String?
    let hint: String?
    var testDescription: String { message + " – " + target.arguments.joined(separator: " ") }
}

@Suite struct PlanRefusalTests {
    @Test(arguments: [
        Refused(
            target: RecoveryTarget(.time(second(-1))), message: "cannot reach time 2027-01-15 07:59:59+00",
            detail: """
                The oldest usable backup, "a", ended at 2027-01-15 08:00:00+00 (LSN 0/01002028), after the target.
                """,
            hint: """
                Reachable: --target immediate --backup a (the end of backup "a", 2027-01-15 08:00:00+00).
                """),
        Refused(
            target: RecoveryTarget(.time(second(100))), message: "cannot reach time 2027-01-15 08:01:40+00",
            detail: """
                The last transaction in the archive, 140, ended at 2027-01-15 08:00:40+00 (LSN 0/0102F028), 1 min 0 s \
                before the target.
                """,
            hint: """
                Reachable: --target latest (the end of the archive, last transaction at 2027-01-15 08:00:39+00).
                """),
        Refused(
            target: RecoveryTarget(.time(second(40))), message: "cannot reach time 2027-01-15 08:00:40+00",
            detail: """
                The last transaction in the archive, 140, ended at 2027-01-15 08:00:40+00 (LSN 0/0102F028), and \
                PostgreSQL stops only at a later one.
                """,
            hint: """
                Reachable: --target latest (the end of the archive, last transaction at 2027-01-15 08:00:39+00).
                """),
        Refused(
            target: RecoveryTarget(.lsn(LSN(0x200_0000))), message: "cannot reach LSN 0/02000000",
            detail: """
                The last transaction in the archive, 140, ended at 2027-01-15 08:00:40+00 (LSN 0/0102F028); the archive \
                ends at LSN 0/01030028.
                """,
            hint: """
                Reachable: --target latest (the end of the archive, last transaction at 2027-01-15 08:00:39+00).
                """),
        Refused(
            target: RecoveryTarget(.xid(999)), message: "the end of transaction 999 is not in the archive",
            detail: """
                Only transactions that ended after the oldest backup began, and that wrote something, can be targets.
                """,
            hint: "Reachable: --target-xid 139 (the last transaction, 2027-01-15 08:00:39+00)."),
        Refused(
            target: RecoveryTarget(.name("Nightli")), message: "restore point \"Nightli\" is not in the archive",
            detail: "There are: \"nightly\" at 2027-01-15 08:00:29.5+00.",
            hint: "Reachable: --target-name nightly (at 2027-01-15 08:00:29.5+00)."),
        Refused(
            target: RecoveryTarget(.latest, timeline: .number(TimelineID(7))),
            message: "timeline 7 is not in the archive", detail: "The archive has timeline 1.",
            hint: "Reachable: --target latest --target-timeline 1 (on timeline 1)."),
        Refused(
            target: RecoveryTarget(.time(second(12))), backup: "b",
            message: "cannot reach time 2027-01-15 08:00:12+00 from backup \"b\"",
            detail: "The backup ended at 2027-01-15 08:00:20.5+00 (LSN 0/0101A028), after the target.",
            hint: """
                Reachable: --target immediate --backup b (the end of backup "b", 2027-01-15 08:00:20.5+00); \
                --target-time '2027-01-15 08:00:12+00' (from backup "a").
                """),
        Refused(
            target: RecoveryTarget(.latest), backup: "c", message: "backup \"c\" does not exist", detail: nil,
            hint: "\"tidemark list\" shows the backups there are."),
    ])
    private func `an unreachable target is refused with the reason and what can be reached`(_ row: Refused) throws {
        let refusal = try #require(throws: PlanRefusal.self) {
            try plan(PlanRequest(row.target, backup: row.backup), from: oneTimeline())
        }
        #expect(refusal.message == row.message)
        #expect(refusal.detail == row.detail)
        #expect(refusal.hint == row.hint)
    }

    @Test func `a gap is named, with the nearest moments on both sides`() throws {
        var archive = oneTimeline()
        // Backup b starts in segment 1; segment 0 lies before it.
        archive.missing = [SegmentName("000000010000000000000101")!]
        let refusal = try #require(throws: PlanRefusal.self) {
            try plan(PlanRequest(RecoveryTarget(.time(second(18)))), from: archive)
        }
        #expect(refusal.detail == "WAL segment \"000000010000000000000101\" is missing.")
        #expect(refusal.hint?.contains("--target-lsn 0/0100") == true)
        #expect(refusal.hint?.contains("last transaction at 2027-01-15 08:00:12+00") == true)
        let made = try plan(PlanRequest(RecoveryTarget(.time(second(5)))), from: archive)
        #expect(made.lastIncluded?.xid == 105)
    }

    @Test func `an empty archive says to take a backup`() throws {
        let refusal = try #require(throws: PlanRefusal.self) {
            try plan(PlanRequest(RecoveryTarget(.latest)), from: ConstructedArchive())
        }
        #expect(refusal.hint == "Take one with \"tidemark backup\".")
    }
}

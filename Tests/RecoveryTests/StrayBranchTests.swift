import Planning
import Recovery
import Testing
import WAL

/// Timeline 1 has backup "a" and commits 101 to 110; a stray leaves it before 104 and has commits 201 to 203; each of
/// `newer` leaves it behind 110 and has no commit yet. A label at a commit's number is a backup that was taken there.
///
/// - Parameters:
///   - strayTime: the second of the stray's commit 201.
///   - places: of backups, by label.
private func archive(
    stray: UInt32, newer: [UInt32], backups: [UInt32: String], strayTime: Double, places: [String: String]
) -> ConstructedArchive {
    var archive = ConstructedArchive()
    var log = WALWriter()
    func backUp(_ log: inout WALWriter, _ archive: inout ConstructedArchive, _ number: UInt32) {
        if let label = backups[number] { archive.allBackups.append(log.backup(label, second(Double(number)))) }
    }
    archive.allBackups.append(log.backup("a", second(0)))
    for n in 1...10 as ClosedRange<UInt32> {
        if n == 4 {
            var its: [RestorableBackup] = []
            archive.branch(stray, from: 1, log) { new in
                for n in 201...203 as ClosedRange<UInt32> {
                    new.commit(n, second(strayTime + Double(n - 201)))
                    if let label = backups[n] { its.append(new.backup(label, second(Double(n)))) }
                }
            }
            archive.allBackups += its
        }
        log.commit(100 + n, second(Double(100 + n)))
        backUp(&log, &archive, 100 + n)
    }
    for number in newer {
        var its: [RestorableBackup] = []
        archive.branch(number, from: 1, log) { new in
            new.other()
            if let label = backups[number] { its.append(new.backup(label, second(Double(300 + number)))) }
        }
        archive.allBackups += its
    }
    archive.records[TimelineID(1)] = log.written
    for index in archive.allBackups.indices {
        archive.allBackups[index].place = places[archive.allBackups[index].label]
    }
    return archive
}

private struct Row: Sendable, CustomTestStringConvertible {
    let name: String
    var stray: UInt32 = 2
    var newer: [UInt32] = [3]
    var backups: [UInt32: String] = [:]
    var isBegun = true
    var strayTime = 201.0
    var places: [String: String] = [:]
    /// Where a backup's time isn't the second of its number.
    var backupTimes: [String: Double] = [:]
    var known: KnownPlace?
    /// Nil when the planner asks for it.
    var timeline: UInt32?
    var last: UInt32? = 110
    /// The timelines asked about, or the reason why the other isn't followed.
    var asked: [UInt32] = []
    var reason = ""
    var testDescription: String { name }
}

private func died(on timeline: UInt32) -> KnownPlace {
    KnownPlace(
        timeline: TimelineID(timeline), position: LSN(0x102_0028), takesWrites: false,
        witness: "Data directory \"/data\" was")
}

@Suite struct StrayBranchTests {
    @Test(arguments: [
        Row(name: "no backup on either", asked: [2, 3]),
        Row(name: "the stray one has the newer number", stray: 3, newer: [2], asked: [2, 3]),
        Row(name: "the stray one alone beside the first", newer: [], asked: [1, 2]),
        Row(name: "two timelines without commits", newer: [3, 4], asked: [2, 4]),
        Row(name: "two timelines without commits, the stray one is newer", stray: 4, newer: [2, 3], asked: [3, 4]),
        Row(name: "nothing of the newest is archived but its history", isBegun: false, asked: [2, 3]),
        Row(
            name: "a backup on the ancestor after the stray one had left it", backups: [106: "b"], strayTime: 50,
            timeline: 3,
            reason: "Backups were taken on timeline 1 after they had diverged"),
        Row(
            name: "the same, and the stray one is newer", stray: 3, newer: [2], backups: [106: "b"], strayTime: 50,
            timeline: 2,
            reason: "Backups were taken on timeline 1 after they had diverged"),
        Row(name: "the same, and the stray one went on after it", backups: [106: "b"], asked: [2, 3]),
        Row(
            name: "a backup on the newest", backups: [3: "b"], timeline: 3, last: nil,
            reason: "Backups were taken on timeline 3 after they had diverged"),
        Row(
            name: "backups on the ancestor and on one of two newest", newer: [3, 4], backups: [106: "b", 3: "c"],
            timeline: 4, reason: "Backups were taken on timeline 1, 3 after they had diverged"),
        Row(
            name: "a backup on the stray one only", backups: [202: "s"], timeline: 2, last: 203,
            reason: "Backups were taken on timeline 2 after they had diverged"),
        Row(
            name: "a backup on the stray one only, and the ancestor went on after it", backups: [202: "s"],
            strayTime: 50, backupTimes: ["s": 51], asked: [2, 3]),
        Row(
            name: "a backup on the stray one only, taken elsewhere", backups: [202: "s"],
            places: ["a": "one:/data", "s": "two:/data"], asked: [2, 3]),
        Row(
            name: "a backup on the stray one only, taken where the others were", backups: [202: "s"],
            places: ["a": "one:/data", "s": "one:/data"], timeline: 2, last: 203,
            reason: "Backups were taken on timeline 2 after they had diverged"),
        Row(name: "a backup on each", backups: [106: "b", 202: "s"], asked: [2, 3]),
        Row(
            name: "a backup on each, the stray one's taken elsewhere", backups: [106: "b", 202: "s"], strayTime: 50,
            places: ["a": "one:/data", "b": "one:/data", "s": "one:/copy"], timeline: 3,
            reason: "Backups were taken on timeline 1 after they had diverged"),
        Row(
            name: "a backup on the stray one only, and a server on the newest", backups: [202: "s"],
            known: living(on: 3), timeline: 3),
        Row(
            name: "a backup on the stray one only, and a server that died on the newest", backups: [202: "s"],
            known: died(on: 3), timeline: 3),
        Row(name: "a server on the newest", known: living(on: 3), timeline: 3),
        Row(
            name: "a server on the newest, the stray one is newer", stray: 3, newer: [2], known: living(on: 2),
            timeline: 2, reason: "The server in \"/data\" is on timeline 2"),
    ])
    private func `a timeline without commits stands for its ancestors' against a stray one`(_ row: Row) throws {
        var archive = archive(
            stray: row.stray, newer: row.newer, backups: row.backups, strayTime: row.strayTime, places: row.places)
        for index in archive.allBackups.indices {
            guard let time = row.backupTimes[archive.allBackups[index].label] else { continue }
            archive.allBackups[index].startTime = second(time)
            archive.allBackups[index].stopTime = second(time)
        }
        if !row.isBegun { archive.records[TimelineID(row.newer[0])] = nil }
        let request = PlanRequest(RecoveryTarget(.latest), known: row.known)
        guard let timeline = row.timeline else {
            let refusal = try #require(throws: PlanRefusal.self) { try plan(request, from: archive) }
            guard case .severalBranches(let branches) = refusal.reason else {
                Issue.record("\(refusal.message): \(refusal.detail ?? "")")
                return
            }
            #expect(branches.map(\.timeline.rawValue) == row.asked)
            #expect(Set(branches.compactMap(\.last?.xid)) == [110, 203])
            return
        }
        let made = try plan(request, from: archive)
        #expect(made.timeline == TimelineID(timeline))
        #expect(made.lastIncluded?.xid == row.last)
        let warnings = made.warnings.filter { $0.contains("is not followed") }
        #expect(warnings.count == (row.reason.isEmpty ? 0 : 1), "\(warnings)")
        if !row.reason.isEmpty { #expect(warnings.allSatisfy { $0.contains(row.reason + ".") }, "\(warnings)") }
    }
}

import Planning
import Recovery
import Retention
import Support
import WAL

/// A cluster's life in fast motion: commits, backups, failures, recoveries into the past, copies that are promoted
/// while the original continues and are put aside at some time, and a clock that is sometimes wrong. Keeps everything
/// ever stored, and what is left after each expiry.
struct SimulatedCluster: PlanSource {
    let majorVersion = 15
    let segmentSize: UInt32 = 1 << 20
    static let day: Int64 = 86_400_000_000

    struct Commit {
        var record: ReplayRecord
        var time: Moment
        /// The clock was right.
        var isHonest: Bool
    }

    private(set) var all: [RetainedBackup] = []
    /// Labels of the backups that are left.
    var left: Set<String> = []
    private var allHistories: [TimelineID: TimelineHistory] = [TimelineID(1): TimelineHistory(TimelineID(1))]
    /// Per timeline, from its first segment on, including ancestors' bytes.
    private(set) var commits: [TimelineID: [Commit]] = [TimelineID(1): []]
    var removed: Set<SegmentName> = []
    private(set) var timeline = TimelineID(1)
    private(set) var position = LSN(1 << 20)
    /// The other living server, on a timeline of its own; nil when there is none.
    private var other: (timeline: TimelineID, position: LSN)?
    /// Timelines that were put aside.
    private(set) var aside: Set<TimelineID> = []
    /// The true time and the clock's error, in microseconds.
    private(set) var time: Int64 = 1_800_000_000_000_000
    private(set) var skew: Int64 = 0
    private var xid: UInt32 = 700
    private var random: SeededGenerator
    /// Plan over everything ever stored, or over what is left.
    enum View { case all, left }

    init(seed: UInt64) { random = SeededGenerator(seed: seed) }

    var now: Moment { Moment(microseconds: time + skew) }

    mutating func number(_ range: ClosedRange<Int>) -> Int { Int.random(in: range, using: &random) }

    private mutating func commit() {
        time += Int64(number(1...9000)) * 1_000_000
        let start = position
        position = position + UInt64(number(1...60)) * 8192
        xid += 1
        let mark = TransactionMark(lsn: start, end: position, time: now, xid: xid)
        commits[timeline]!.append(
            Commit(
                record: ReplayRecord(start: start, end: position, content: .commit(mark)), time: now,
                isHonest: skew == 0))
    }

    /// Like pg_backup_stop(): the rest of the segment is one record.
    private mutating func switchSegment() {
        let start = position
        let next = SegmentName(timeline: timeline, containing: start, segmentSize: segmentSize)
        position = next.end(segmentSize: segmentSize)
        commits[timeline]!.append(
            Commit(record: ReplayRecord(start: start, end: position), time: now, isHonest: false))
    }

    private mutating func backUp() {
        commit()
        let start = position
        let startTime = now
        for _ in 0..<number(1...3) { commit() }
        let stop = position
        switchSegment()
        guard number(1...10) > 1 else { return }  // it failed
        all.append(
            RetainedBackup(
                label: "b\(all.count)", timeline: timeline, start: start, stop: stop, startTime: startTime,
                stopTime: now, isPinned: number(1...40) == 1, damage: number(1...30) == 1 ? "so" : nil))
        left.insert(all.last!.label)
    }

    /// Back to an earlier commit, on a new timeline.
    private mutating func recoverIntoThePast() {
        let history = allHistories[timeline]!
        let own = commits[timeline]!.filter { $0.record.start >= (history.begin(of: timeline) ?? LSN(0)) }
        guard own.count > 20 else { return }
        beginTimeline(after: own[own.count - number(2...20)])
    }

    /// A copy begins a timeline, and the original continues; which is which makes no difference.
    private mutating func promoteCopy() {
        guard other == nil, let last = commits[timeline]!.last else { return }
        let original = (timeline, position)
        beginTimeline(after: last)
        other = original
    }

    /// Both are living: the other one's turn.
    private mutating func takeTurns() {
        guard let one = other else { return }
        other = (timeline, position)
        (timeline, position) = one
    }

    /// The younger of two living servers ends, and is put aside if it wrote nothing that counts.
    private mutating func endCopy() {
        if let other, other.timeline < timeline { takeTurns() }
        guard let ended = other?.timeline else { return }
        other = nil
        if number(1...2) == 1, !allHistories.values.contains(where: { $0.switchPoint(from: ended) != nil }) {
            aside.insert(ended)
            for index in all.indices where all[index].timeline == ended {
                (all[index].isAside, all[index].isVisiblyDamaged) = (true, true)
                all[index].damage = "its branch was put aside"
            }
        }
    }

    private mutating func beginTimeline(after target: Commit) {
        let history = allHistories[timeline]!
        let new = TimelineID(allHistories.keys.map(\.rawValue).max()! + 1)
        allHistories[new] = TimelineHistory(
            timeline: new,
            ancestors: history.ancestors + [.init(timeline: timeline, switchPoint: target.record.end)])
        // The new timeline's first segment begins with the old one's bytes.
        let first = SegmentName(
            timeline: new, containing: LSN(target.record.end.rawValue), segmentSize: segmentSize
        ).start(segmentSize: segmentSize)
        commits[new] = commits[timeline]!.filter { $0.record.end <= target.record.end && $0.record.end > first }
        timeline = new
        position = target.record.end
    }

    /// One day passes.
    mutating func live() {
        for _ in 0..<number(3...8) { commit() }
        if number(1...60) == 1 { recoverIntoThePast() }
        if number(1...60) == 1 { promoteCopy() }
        if number(1...30) == 1 { endCopy() }
        takeTurns()
        if skew == 0 && number(1...90) == 1 { skew = Int64(number(-6...12)) * SimulatedCluster.day }
        backUp()
        if skew != 0 && number(1...3) == 1 { skew = 0 }
        time += SimulatedCluster.day / 3
    }

    func timelines() -> [RetainedTimeline] {
        archived.values.sorted { $0.timeline < $1.timeline }.map {
            RetainedTimeline(
                $0, lastCommit: commits[$0.timeline]!.map(\.time).max(), end: commits[$0.timeline]!.last?.record.end)
        }
    }

    /// The histories that are not put aside.
    private var archived: [TimelineID: TimelineHistory] { allHistories.filter { !aside.contains($0.key) } }

    /// The living timelines: those that servers are on now.
    var alive: [TimelineID] { [timeline] + (other.map { [$0.timeline] } ?? []) }

    /// The backups from which a position on a timeline can be recovered.
    func backups(before position: LSN, on timeline: TimelineID) -> [RetainedBackup] {
        let history = allHistories[timeline]!
        return all.filter { backup in
            left.contains(backup.label) && !backup.isAside && backup.stop <= position
                && history.contains(backup.timeline, at: backup.stop)
        }.sorted { $0.stop < $1.stop }
    }

    /// Removes what the decision doesn't keep.
    mutating func apply(_ decision: RetentionDecision) {
        left = decision.kept
        for name in allSegments().subtracting(removed) where !decision.keeps(name, segmentSize: segmentSize) {
            removed.insert(name)
        }
    }

    /// As `expire` finds it in the archive.
    func firstWAL(since moment: Moment) -> LSN? {
        var latest: [SegmentName: Moment] = [:]
        for (timeline, list) in commits {
            for commit in list {
                let name = SegmentName(
                    timeline: timeline, containing: LSN(commit.record.end.rawValue - 1), segmentSize: segmentSize)
                latest[name] = max(latest[name] ?? commit.time, commit.time)
            }
        }
        return Retention.firstWAL(
            since: moment, Array(allSegments().subtracting(removed)), histories: Array(archived.values),
            segmentSize: segmentSize
        ) { latest[$0].map { .commit($0) } ?? .noCommit }
    }

    private func allSegments() -> Set<SegmentName> {
        var names: Set<SegmentName> = []
        for (timeline, list) in commits where !aside.contains(timeline) {
            for commit in list {
                names.insert(SegmentName(timeline: timeline, containing: commit.record.start, segmentSize: segmentSize))
                names.insert(
                    SegmentName(
                        timeline: timeline, containing: LSN(commit.record.end.rawValue - 1), segmentSize: segmentSize))
            }
        }
        return names
    }

    // What the planner asks.

    func backups() -> [RestorableBackup] { restorable }

    func histories() -> [TimelineID: TimelineHistory] { archived.filter { !$0.value.ancestors.isEmpty } }

    /// Precomputes what many plans need.
    mutating func freeze(seeing view: View) {
        let names = view == .all ? allSegments() : allSegments().subtracting(removed)
        present = SegmentSet(names, segmentSize: segmentSize)
        restorable = all.filter { $0.damage == nil && (view == .all || left.contains($0.label)) }.map {
            RestorableBackup(
                label: $0.label, timeline: $0.timeline, start: $0.start, stop: $0.stop, startTime: $0.startTime,
                stopTime: $0.stopTime, size: 1)
        }
        ending = [:]
        for (timeline, list) in commits {
            for record in list.map(\.record) {
                let name = SegmentName(
                    timeline: timeline, containing: LSN(record.end.rawValue - 1), segmentSize: segmentSize)
                ending[name, default: []].append(record)
            }
        }
        outlines = ending.mapValues(outline)
    }
    private var present = SegmentSet([], segmentSize: 1 << 20)
    private var restorable: [RestorableBackup] = []
    private var ending: [SegmentName: [ReplayRecord]] = [:]
    private var outlines: [SegmentName: SegmentOutline] = [:]

    func segments() -> SegmentSet { present }

    private func complete(_ path: WALSegments, _ index: Int) -> [ReplayRecord] {
        let start = path[index].start(segmentSize: segmentSize)
        return (ending[path[index]] ?? []).filter { $0.start >= start || index > 0 }
    }

    func facts(of path: WALSegments, _ range: Range<Int>) -> [SegmentOutline] {
        range.map { index in
            // A backup's first segment begins in the middle of a record.
            (index > 0 ? outlines[path[index]] : nil) ?? outline(complete(path, index))
        }
    }

    private func outline(_ all: [ReplayRecord]) -> SegmentOutline {
        let marks = all.compactMap(\.content.commit)
        return SegmentOutline(
            firstRecord: all.first?.start, lastRecord: all.last?.start, earliestEnd: marks.map(\.time).min(),
            latestEnd: marks.map(\.time).max(), firstCommit: marks.first, lastCommit: marks.last,
            commits: marks.count, lowestXID: marks.map(\.xid).min(), highestXID: marks.map(\.xid).max(),
            restorePoints: [])
    }

    func records(of path: WALSegments, at index: Int, visit: (ReplayRecord) throws -> Bool) throws {
        for record in complete(path, index) where try !visit(record) { return }
    }
}

public import BaseBackup
import Glibc
import Platform
public import Repository
public import WAL

extension ArchiveObservation {
    /// Follows the cluster's history through the repository by the objects' names, and reads a few summaries for times.
    ///
    /// - Parameters:
    ///   - timeline: the server's; nil takes the newest one in the archive.
    ///   - segmentSize: in bytes, when the repository has no backup that tells it.
    ///   - policy: what may have been expired on purpose: that is no gap.
    public init(
        of incarnation: Incarnation, in store: any ObjectStore, timeline: TimelineID?, segmentSize: UInt32,
        policy: RetentionPolicy, now: Moment
    ) throws {
        self.incarnation = incarnation
        backups = try listBackups(of: incarnation, in: store)
        self.segmentSize = backups.complete.last?.segmentSize ?? segmentSize
        let timelines = try store.timelines(of: incarnation)
        // A server may be on a timeline of which nothing has been archived yet.
        let followed = [timeline, timelines.last].compactMap { $0 }.first { timelines.contains($0) } ?? TimelineID(1)
        self.timeline = followed
        gaps = []
        var history = TimelineHistory(followed)
        if followed.rawValue > 1 {
            if let text = try store.history(followed, of: incarnation) {
                do throws(BadTimelineHistory) {
                    history = try TimelineHistory(timeline: followed, file: String(decoding: text, as: UTF8.self))
                } catch { historyProblem = error.message }
            } else {
                historyProblem = "timeline history file \"\(followed.fileNamePart).history\" is missing"
            }
        }
        let usable = backups.complete.filter { history.contains($0.timeline, at: $0.startLSN) }
        var present: Set<SegmentName> = []
        for timeline in timelines where history.includes(timeline) {
            let first = usable.first.map {
                SegmentName(timeline: timeline, containing: $0.startLSN, segmentSize: self.segmentSize)
            }
            present.formUnion(try store.segments(of: incarnation, timeline: timeline, from: first))
        }
        let size = self.segmentSize
        newest = present.max { $0.number(segmentSize: size) < $1.number(segmentSize: size) }
        guard let newest else { return }

        // When the rules can't be applied, everything counts as wanted.
        let decision = try? retentionDecision(of: incarnation, in: store, listing: backups, policy: policy, now: now)
        var unbroken = usable
        var unexpired = usable
        if let oldest = usable.first {
            let first = oldest.startSegment.number(segmentSize: size)
            for number in first...max(first, newest.number(segmentSize: size)) {
                let position = SegmentName(timeline: followed, number: number, segmentSize: size)
                    .start(segmentSize: size)
                let name = history.segment(containing: position, segmentSize: size)
                guard !present.contains(name) else { continue }
                unbroken.removeAll { $0.startSegment.number(segmentSize: size) <= number }
                if decision?.keeps(name, segmentSize: size) == false {
                    unexpired.removeAll { $0.startSegment.number(segmentSize: size) <= number }
                    continue
                }
                if let last = gaps.last, last.last.number(segmentSize: size) + 1 == number {
                    gaps[gaps.count - 1] = Gap(first: last.first, last: name, count: last.count + 1)
                } else {
                    gaps.append(Gap(first: name, last: name, count: 1))
                }
            }
        }
        // A picture has room for a few; a hundred summaries are read in a moment.
        for index in gaps.indices.prefix(50) {
            let before = gaps[index].first.number(segmentSize: size)
            let after = gaps[index].last.number(segmentSize: size) + 1
            func facts(_ number: UInt64) throws -> SegmentFacts? {
                let position = SegmentName(timeline: followed, number: number, segmentSize: size).start(
                    segmentSize: size)
                let name = history.segment(containing: position, segmentSize: size)
                guard present.contains(name) else { return nil }
                return try ArchiveObservation.summary(of: name, incarnation, store)?.facts
            }
            gaps[index].from = before > 0 ? try facts(before - 1)?.latestCommit?.time : nil
            gaps[index].to = try facts(after)?.earliestCommit?.time
        }
        newestCommit = try ArchiveObservation.newestCommit(
            upTo: newest, present: present, history: history, size: size, incarnation, store)
        keptFrom = unexpired.map(\.startTime).min()
        windowStart = unbroken.map(\.stopTime).min()
    }

    /// The time of the newest commit; looks back over at most fifty segments without one.
    private static func newestCommit(
        upTo newest: SegmentName, present: Set<SegmentName>, history: TimelineHistory, size: UInt32,
        _ incarnation: Incarnation, _ store: any ObjectStore
    ) throws -> Moment? {
        var number = newest.number(segmentSize: size)
        for _ in 0..<50 {
            let position = SegmentName(timeline: newest.timeline, number: number, segmentSize: size)
                .start(segmentSize: size)
            let name = history.segment(containing: position, segmentSize: size)
            guard present.contains(name) else { return nil }
            if let summary = try summary(of: name, incarnation, store), let time = summary.facts.latestCommit?.time {
                return time
            }
            guard number > 0 else { return nil }
            number -= 1
        }
        return nil
    }

    /// A segment's summary; nil when it was stored without one.
    static func summary(
        of name: SegmentName, _ incarnation: Incarnation, _ store: any ObjectStore
    ) throws -> SegmentSummary? {
        let head = try SegmentHead(of: store.open(incarnation.segment(name)))
        return head.summary.isEmpty ? nil : try SegmentSummary(decoding: head.summary)
    }
}

import Repository
public import WAL

/// A base backup, as far as the log around it matters.
public struct BackupSpan: Hashable, Sendable {
    public let label: String
    public let timeline: TimelineID
    /// Replay starts here.
    public let start: LSN
    /// The copy is consistent from here on.
    public let stop: LSN
    public let startTime: Moment
    public let stopTime: Moment

    public init(
        label: String, timeline: TimelineID, start: LSN, stop: LSN, startTime: Moment, stopTime: Moment
    ) {
        (self.label, self.timeline, self.start, self.stop) = (label, timeline, start, stop)
        (self.startTime, self.stopTime) = (startTime, stopTime)
    }
}

/// Neighbouring segments of one timeline that are proven to hang together.
public struct LogStretch: Hashable, Sendable {
    public let timeline: TimelineID
    public let first: SegmentName
    public let last: SegmentName
    public let segmentSize: UInt32
    public let totals: Catalog.Totals
    public let firstCommit: TransactionMark?
    public let lastCommit: TransactionMark?
    /// The timeline's parent, when the stretch goes on from one of its segments.
    public let goesOnFrom: TimelineID?

    public var rawBytes: Int64 { totals.segments * Int64(segmentSize) }
    public var begin: LSN { first.start(segmentSize: segmentSize) }
    public var end: LSN { last.end(segmentSize: segmentSize) }
}

/// A place where the log can't be followed.
public struct LogGap: Hashable, Sendable {
    public enum Cause: Hashable, Sendable {
        /// The segments aren't in the repository, and nothing there tells why.
        case missing
        /// The segments aren't in the repository; what is before them ends with the segment that makes this backup
        /// consistent, as `expire` leaves it.
        case expired(backup: String)
        /// The first of them is there as a `.partial` only: its server never filled it.
        case unfinished
        /// Another timeline has the first of them.
        case elsewhere(TimelineID)
        /// The segment is there, but damaged or unread.
        case unreadable(String)
        /// Both segments are there, but the later one doesn't go on where the earlier one ends.
        case broken(String)
    }
    public let timeline: TimelineID
    /// The log between these can't be replayed; the same for a broken link.
    public let from: LSN
    public let to: LSN
    public let firstMissing: SegmentName?
    public let lastMissing: SegmentName?
    public let cause: Cause
    public let lastBefore: TransactionMark?
    public let firstAfter: TransactionMark?
    /// The first backup from which the log behind the gap can be used again.
    public let nextBackup: BackupSpan?
}

extension Catalog {
    /// The log as it is: stretches and gaps, by timeline and place.
    public func report(backups: [BackupSpan]) throws -> (stretches: [LogStretch], gaps: [LogGap]) {
        let set = try segments()
        let histories = try histories()
        let size = set.segmentSize
        var stretches: [LogStretch] = []
        var gaps: [LogGap] = []
        for timeline in set.timelines {
            // The end of what was seen on this timeline, or where it must go on from.
            var expected: UInt64?
            var parent: TimelineID?
            if let history = histories[timeline], let begin = history.ancestors.last?.switchPoint {
                expected = begin.rawValue / UInt64(size)
                parent = history.parent
            }
            for run in set.runs(of: timeline) {
                if let expected, run.lowerBound > expected {
                    let lost = expected...run.lowerBound - 1
                    gaps.append(
                        try gap(timeline, missing: lost, cause(of: timeline, lost, set, backups), size, backups))
                }
                let isChild = parent != nil && run.lowerBound == expected
                for piece in try pieces(of: timeline, run, size, &gaps, backups) {
                    stretches.append(
                        try stretch(
                            timeline, piece, size,
                            goesOnFrom: isChild && piece.lowerBound == run.lowerBound
                                && stretches.contains { $0.timeline == parent } ? parent : nil))
                }
                expected = run.upperBound + 1
                parent = nil
            }
        }
        return (stretches, gaps)
    }

    /// Why segments aren't there, as far as what is there tells.
    private func cause(
        of timeline: TimelineID, _ lost: ClosedRange<UInt64>, _ set: SegmentSet, _ backups: [BackupSpan]
    ) throws -> LogGap.Cause {
        let first = SegmentName(timeline: timeline, number: lost.lowerBound, segmentSize: set.segmentSize)
        if let backup = backups.last(where: {
            $0.timeline == timeline && $0.stop.rawValue > 0
                && ($0.stop.rawValue - 1) / UInt64(set.segmentSize) + 1 == lost.lowerBound
        }) {
            return .expired(backup: backup.label)
        }
        if try store.partials(of: incarnation, timeline: timeline, from: first).first == first { return .unfinished }
        if let other = set.timelines.last(where: { other in
            other != timeline && set.runs(of: other).contains { $0.contains(lost.lowerBound) }
        }) {
            return .elsewhere(other)
        }
        return .missing
    }

    /// A run cut where it isn't continuous.
    private func pieces(
        of timeline: TimelineID, _ run: ClosedRange<UInt64>, _ size: UInt32, _ gaps: inout [LogGap],
        _ backups: [BackupSpan]
    ) throws -> [ClosedRange<UInt64>] {
        var pieces: [ClosedRange<UInt64>] = []
        var begin = run.lowerBound
        for row in try notable(of: timeline, run) {
            let number = row.name.number(segmentSize: size)
            let isUnreadable = row.state != .read
            guard isUnreadable || row.link == .broken else { continue }
            if number > begin { pieces.append(begin...number - 1) }
            let problem = row.problem ?? "It cannot be read."
            if isUnreadable {
                gaps.append(try gap(timeline, missing: number...number, .unreadable(problem), size, backups))
                begin = number + 1
            } else {
                gaps.append(try gap(timeline, at: number, .broken(problem), size, backups))
                begin = number
            }
        }
        if begin <= run.upperBound { pieces.append(begin...run.upperBound) }
        return pieces
    }

    private func stretch(
        _ timeline: TimelineID, _ numbers: ClosedRange<UInt64>, _ size: UInt32, goesOnFrom: TimelineID?
    ) throws -> LogStretch {
        LogStretch(
            timeline: timeline,
            first: SegmentName(timeline: timeline, number: numbers.lowerBound, segmentSize: size),
            last: SegmentName(timeline: timeline, number: numbers.upperBound, segmentSize: size), segmentSize: size,
            totals: try totals(of: timeline, numbers),
            firstCommit: try nearestWithCommits(of: timeline, numbers, fromEnd: false)?.firstCommit,
            lastCommit: try nearestWithCommits(of: timeline, numbers, fromEnd: true)?.lastCommit,
            goesOnFrom: goesOnFrom)
    }

    private func gap(
        _ timeline: TimelineID, missing: ClosedRange<UInt64>? = nil, at number: UInt64 = 0, _ cause: LogGap.Cause,
        _ size: UInt32, _ backups: [BackupSpan]
    ) throws -> LogGap {
        let before = missing?.lowerBound ?? number
        let after = missing.map { $0.upperBound + 1 } ?? number
        let to = LSN(after &* UInt64(size))
        return LogGap(
            timeline: timeline, from: LSN(before &* UInt64(size)), to: to,
            firstMissing: missing.map {
                SegmentName(timeline: timeline, number: $0.lowerBound, segmentSize: size)
            },
            lastMissing: missing.map {
                SegmentName(timeline: timeline, number: $0.upperBound, segmentSize: size)
            }, cause: cause,
            lastBefore: before == 0
                ? nil : try nearestWithCommits(of: timeline, 0...before - 1, fromEnd: true)?.lastCommit,
            firstAfter: try nearestWithCommits(of: timeline, after...UInt64(Int64.max), fromEnd: false)?.firstCommit,
            nextBackup: backups.filter { $0.timeline == timeline && $0.start >= to }
                .min { $0.stop < $1.stop })
    }
}

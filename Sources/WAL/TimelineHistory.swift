public import Messages

/// The ancestors of a timeline, and which range of the WAL belongs to each (src/backend/access/transam/timeline.c).
public struct TimelineHistory: Hashable, Sendable {
    /// An ancestor, and where it was left.
    public struct Ancestor: Hashable, Sendable {
        public let timeline: TimelineID
        /// The first byte that belongs to the next timeline.
        public let switchPoint: LSN
        /// Why it was left, in the server's words.
        public let reason: String

        public init(timeline: TimelineID, switchPoint: LSN, reason: String = "") {
            self.timeline = timeline
            self.switchPoint = switchPoint
            self.reason = reason
        }
    }

    public let timeline: TimelineID
    /// Oldest first; empty for a timeline without a history, such as 1.
    public let ancestors: [Ancestor]

    /// A timeline that began with the cluster.
    public init(_ timeline: TimelineID) {
        self.timeline = timeline
        ancestors = []
    }

    public init(timeline: TimelineID, ancestors: [Ancestor]) {
        self.timeline = timeline
        self.ancestors = ancestors
    }

    /// Whether both have the same timelines and switch points; servers that take part in one promotion may give
    /// different reasons.
    public func isSame(as other: TimelineHistory) -> Bool {
        timeline == other.timeline
            && ancestors.elementsEqual(other.ancestors) {
                $0.timeline == $1.timeline && $0.switchPoint == $1.switchPoint
            }
    }

    /// Reads a `.history` file: one ancestor per line, oldest first; blank lines and `#` comments are allowed.
    public init(timeline: TimelineID, file text: String) throws(BadTimelineHistory) {
        var ancestors: [Ancestor] = []
        var numbers: [UInt32] = []
        for (index, line) in text.split(separator: "\n", omittingEmptySubsequences: false).enumerated() {
            let fields = line.split(
                maxSplits: 2, omittingEmptySubsequences: true, whereSeparator: { $0 == "\t" || $0 == " " || $0 == "\r" }
            )
            guard let first = fields.first, !first.hasPrefix("#") else { continue }
            func bad(_ reason: String) -> BadTimelineHistory {
                BadTimelineHistory(timeline: timeline, line: index + 1, reason: reason)
            }
            guard let number = UInt32(first), number > 0 else {
                throw bad("\"\(first)\" is not a timeline's number.")
            }
            guard fields.count > 1, let point = LSN(String(fields[1])) else {
                throw bad("The timeline's number must be followed by the position where it ended.")
            }
            if let last = numbers.last, last >= number {
                throw bad("Timelines must appear in increasing order.")
            }
            guard number < timeline.rawValue else {
                throw bad("A timeline's ancestors must have smaller numbers than it has.")
            }
            numbers.append(number)
            let reason = fields.count > 2 ? String(fields[2]) : ""
            // A server whose target timeline is 3 but whose recovery ends on 1, before 2 began, still writes 1, 2 and 3
            // into its new history (`writeTimeLineHistory` copies the target's file); 2 and 3 then don't count.
            var left = TimelineID(number)
            while let last = ancestors.last, last.switchPoint > point {
                left = last.timeline
                ancestors.removeLast()
            }
            ancestors.append(Ancestor(timeline: left, switchPoint: point, reason: reason))
        }
        self.init(timeline: timeline, ancestors: ancestors)
    }

    /// The timeline that holds the byte at `position` on this history.
    public func timeline(at position: LSN) -> TimelineID {
        ancestors.first { position < $0.switchPoint }?.timeline ?? timeline
    }

    /// Where this history leaves `ancestor`; nil for the newest timeline itself, and for one that isn't on it.
    public func switchPoint(from ancestor: TimelineID) -> LSN? {
        ancestors.first { $0.timeline == ancestor }?.switchPoint
    }

    /// Where a timeline of this history begins, and its parent was left; 0 for the oldest. Nil for one that isn't on
    /// it.
    public func begin(of timeline: TimelineID) -> LSN? {
        if timeline == self.timeline { return ancestors.last?.switchPoint ?? .zero }
        guard let place = ancestors.firstIndex(where: { $0.timeline == timeline }) else { return nil }
        return place == 0 ? .zero : ancestors[place - 1].switchPoint
    }

    /// Where this history leaves what it has in common with another one of the same timeline's number.
    public func parting(from other: TimelineHistory) -> LSN {
        var common = LSN.zero
        for (own, its) in zip(ancestors, other.ancestors) {
            guard own.timeline == its.timeline else { return common }
            guard own.switchPoint == its.switchPoint else { return own.switchPoint }
            common = own.switchPoint
        }
        return common
    }

    /// The direct parent, if the history names one.
    public var parent: TimelineID? { ancestors.last?.timeline }

    /// Whether `position` on `timeline` is on this history: a server at that position can follow it.
    public func contains(_ timeline: TimelineID, at position: LSN) -> Bool {
        if timeline == self.timeline { return position >= (ancestors.last?.switchPoint ?? .zero) }
        guard let begin = begin(of: timeline), let end = switchPoint(from: timeline) else { return false }
        return begin <= position && position <= end
    }

    /// Whether `timeline` is this one or one of its ancestors.
    public func includes(_ timeline: TimelineID) -> Bool {
        timeline == self.timeline || switchPoint(from: timeline) != nil
    }

    /// The file that holds `position` when following this history. The segment in which a timeline was left exists on
    /// both timelines; the newer one has the bytes of both, and is returned.
    public func segment(containing position: LSN, segmentSize: UInt32) -> SegmentName {
        let segment = SegmentName(timeline: timeline, containing: position, segmentSize: segmentSize)
        let last = LSN(segment.end(segmentSize: segmentSize).rawValue &- 1)
        return segment.on(timeline(at: last))
    }
}

/// A timeline history file that cannot be read.
public struct BadTimelineHistory: Explained, Equatable {
    public let timeline: TimelineID
    public let line: Int
    public let reason: String

    public var message: String {
        "timeline history file \"\(timeline.fileNamePart).history\" is damaged in line \(line)"
    }
    public var detail: String? { reason }
}

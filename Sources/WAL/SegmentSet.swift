/// A set of segments, as runs of consecutive ones per timeline: a million segments without gaps are one run.
public struct SegmentSet: Hashable, Sendable {
    public let segmentSize: UInt32
    /// Segment numbers; ascending, apart and not adjacent.
    private var runsOfTimeline: [TimelineID: [ClosedRange<UInt64>]] = [:]

    public init(segmentSize: UInt32) { self.segmentSize = segmentSize }

    public init(_ names: some Sequence<SegmentName>, segmentSize: UInt32) {
        self.init(segmentSize: segmentSize)
        for name in names { insert(name) }
    }

    public var isEmpty: Bool { runsOfTimeline.isEmpty }
    public var count: Int { runsOfTimeline.values.joined().reduce(0) { $0 + $1.count } }
    /// The timelines with segments, in order.
    public var timelines: [TimelineID] { runsOfTimeline.keys.sorted() }

    /// Segment numbers, ascending.
    public func runs(of timeline: TimelineID) -> [ClosedRange<UInt64>] { runsOfTimeline[timeline] ?? [] }

    /// The run of consecutive segments around one; nil when that isn't in the set.
    public func run(containing number: UInt64, on timeline: TimelineID) -> ClosedRange<UInt64>? {
        guard let runs = runsOfTimeline[timeline] else { return nil }
        let place = runs.partition { $0.upperBound >= number }
        return place < runs.count && runs[place].contains(number) ? runs[place] : nil
    }

    public func contains(_ name: SegmentName) -> Bool {
        run(containing: name.number(segmentSize: segmentSize), on: name.timeline) != nil
    }

    /// The number of the timeline's last segment.
    public func highest(on timeline: TimelineID) -> UInt64? { runsOfTimeline[timeline]?.last?.upperBound }

    public mutating func insert(_ name: SegmentName) {
        let number = name.number(segmentSize: segmentSize)
        insert(number...number, on: name.timeline)
    }

    public mutating func insert(_ numbers: ClosedRange<UInt64>, on timeline: TimelineID) {
        var runs = runsOfTimeline.removeValue(forKey: timeline) ?? []
        // Merge the runs that overlap or touch the new one.
        let first = runs.partition { $0.upperBound == .max || $0.upperBound + 1 >= numbers.lowerBound }
        var last = first
        var merged = numbers
        while last < runs.count, numbers.upperBound == .max || runs[last].lowerBound <= numbers.upperBound + 1 {
            merged = min(merged.lowerBound, runs[last].lowerBound)...max(merged.upperBound, runs[last].upperBound)
            last += 1
        }
        runs.replaceSubrange(first..<last, with: CollectionOfOne(merged))
        runsOfTimeline[timeline] = runs
    }

    public func union(_ other: SegmentSet) -> SegmentSet {
        var all = self
        for (timeline, runs) in other.runsOfTimeline {
            for run in runs { all.insert(run, on: timeline) }
        }
        return all
    }

    public mutating func remove(_ name: SegmentName) {
        let number = name.number(segmentSize: segmentSize)
        guard var runs = runsOfTimeline.removeValue(forKey: name.timeline) else { return }
        let place = runs.partition { $0.upperBound >= number }
        if place < runs.count, runs[place].contains(number) {
            let run = runs.remove(at: place)
            if run.upperBound > number { runs.insert(number + 1...run.upperBound, at: place) }
            if run.lowerBound < number { runs.insert(run.lowerBound...number - 1, at: place) }
        }
        if !runs.isEmpty { runsOfTimeline[name.timeline] = runs }
    }
}

extension Array {
    /// The first index whose element satisfies `isBehind`, which is false up to some point and true from there on.
    fileprivate func partition(_ isBehind: (Element) -> Bool) -> Int {
        var low = 0
        var high = count
        while low < high {
            let middle = (low + high) / 2
            if isBehind(self[middle]) { high = middle } else { low = middle + 1 }
        }
        return low
    }
}

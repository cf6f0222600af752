public import WAL

/// Consecutive segments in recovery's order, across timelines. Their names are computed on demand: there may be a
/// million.
public struct WALSegments: RandomAccessCollection, Hashable, Sendable {
    private let lineage: Lineage?
    private let size: UInt32
    /// The number of the first segment.
    public let first: UInt64
    public let count: Int
    /// The substitute for the last segment: the same range on another timeline.
    private let last: SegmentName?

    public init(_ path: TimelinePath, first: UInt64, count: Int, segmentSize: UInt32, last: SegmentName? = nil) {
        lineage = path.lineage(segmentSize: segmentSize)
        (size, self.first, self.count, self.last) = (segmentSize, first, count, last)
    }

    /// One segment alone.
    public init(_ name: SegmentName, segmentSize: UInt32) {
        (lineage, size, first, count, last) = (nil, segmentSize, name.number(segmentSize: segmentSize), 1, name)
    }

    public var startIndex: Int { 0 }
    public var endIndex: Int { count }

    public subscript(index: Int) -> SegmentName {
        precondition(index >= 0 && index < count)
        if let last, index == count - 1 { return last }
        guard let lineage else { preconditionFailure("segments without a history") }
        return lineage.file(first + UInt64(index))
    }

    /// The index of a segment; nil when it isn't one of these.
    public func index(of name: SegmentName) -> Int? {
        let number = name.number(segmentSize: size)
        guard number >= first, number - first < UInt64(count) else { return nil }
        let index = Int(number - first)
        return self[index] == name ? index : nil
    }

    /// The ranges of one timeline each, up to an index; a substitute for the last segment is separate.
    public func stretches(
        _ range: Range<Int>
    ) -> [(timeline: TimelineID, numbers: ClosedRange<UInt64>)] {
        var found: [(timeline: TimelineID, numbers: ClosedRange<UInt64>)] = []
        var index = range.lowerBound
        while index < range.upperBound {
            let name = self[index]
            var end = range.upperBound
            if last != nil, index < count - 1 { end = Swift.min(end, count - 1) }
            if let lineage, index < count - 1 || last == nil {
                let next = lineage.steps.map { $0.begin.rawValue / UInt64(size) }.first { $0 > first + UInt64(index) }
                if let next { end = Int(Swift.min(UInt64(end), next - first)) }
            }
            found.append((name.timeline, first + UInt64(index)...first + UInt64(end) - 1))
            index = end
        }
        return found
    }

    /// The segments up to and including an index, as few ranges as possible.
    func ranges(through index: Int) -> [SegmentRange] {
        stretches(0..<index + 1).map { timeline, numbers in
            SegmentRange(
                first: SegmentName(timeline: timeline, number: numbers.lowerBound, segmentSize: size),
                last: SegmentName(timeline: timeline, number: numbers.upperBound, segmentSize: size),
                count: numbers.count)
        }
    }
}

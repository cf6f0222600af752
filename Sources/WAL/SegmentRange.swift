/// Consecutive segments of one timeline.
public struct SegmentRange: Hashable, Sendable {
    public var first: SegmentName
    public var last: SegmentName
    public var count: Int

    public init(first: SegmentName, last: SegmentName, count: Int) {
        (self.first, self.last, self.count) = (first, last, count)
    }

    /// `"000000010000000000000003"`, or both ends with `to` between.
    public var description: String { first == last ? "\"\(first)\"" : "\"\(first)\" to \"\(last)\"" }

    /// `names`, which are in order, as few ranges as possible.
    public static func ranges(of names: some Sequence<SegmentName>, segmentSize: UInt32) -> [SegmentRange] {
        var ranges: [SegmentRange] = []
        for name in names {
            if let last = ranges.last, last.last.next(segmentSize: segmentSize) == name {
                ranges[ranges.count - 1].last = name
                ranges[ranges.count - 1].count += 1
            } else {
                ranges.append(SegmentRange(first: name, last: name, count: 1))
            }
        }
        return ranges
    }
}

/// A timeline's number; shown in decimal to users, as eight hexadecimal digits in file names.
public struct TimelineID: RawRepresentable, Hashable, Comparable, Sendable, CustomStringConvertible {
    public let rawValue: UInt32
    public init(rawValue: UInt32) { self.rawValue = rawValue }
    public init(_ rawValue: UInt32) { self.rawValue = rawValue }
    public static func < (a: Self, b: Self) -> Bool { a.rawValue < b.rawValue }
    public var description: String { String(rawValue) }
    /// Eight upper-case hexadecimal digits.
    public var fileNamePart: String { hex(rawValue, width: 8) }
}

/// The name of a WAL file, `TTTTTTTTLLLLLLLLSSSSSSSS`: timeline, log number, segment within the log
/// (`XLogFileName`, src/include/access/xlog_internal.h).
///
/// The name alone does not show the segment size; whatever needs a position takes it as a parameter, in bytes.
public struct SegmentName: Hashable, Comparable, Sendable {
    public let timeline: TimelineID
    /// The high 32 bits of the position.
    public let log: UInt32
    /// The segment's index within its 4 GiB of WAL.
    public let place: UInt32

    public init(timeline: TimelineID, log: UInt32, place: UInt32) {
        self.timeline = timeline
        self.log = log
        self.place = place
    }

    /// The segment that holds the byte at `position`.
    public init(timeline: TimelineID, containing position: LSN, segmentSize: UInt32) {
        self.init(
            timeline: timeline, log: UInt32(position.rawValue >> 32),
            place: UInt32((position.rawValue & 0xFFFF_FFFF) / UInt64(segmentSize)))
    }

    /// The position of the segment's first byte.
    public func start(segmentSize: UInt32) -> LSN { LSN(UInt64(log) << 32 | UInt64(place) * UInt64(segmentSize)) }

    /// The position after the segment's last byte.
    public func end(segmentSize: UInt32) -> LSN { start(segmentSize: segmentSize) + UInt64(segmentSize) }

    /// Counts segments from the start of the WAL: start / size.
    public func number(segmentSize: UInt32) -> UInt64 { start(segmentSize: segmentSize).rawValue / UInt64(segmentSize) }

    public init(timeline: TimelineID, number: UInt64, segmentSize: UInt32) {
        self.init(timeline: timeline, containing: LSN(number &* UInt64(segmentSize)), segmentSize: segmentSize)
    }

    public func next(segmentSize: UInt32) -> SegmentName {
        SegmentName(timeline: timeline, number: number(segmentSize: segmentSize) + 1, segmentSize: segmentSize)
    }

    /// Nil for the very first segment of the WAL.
    public func previous(segmentSize: UInt32) -> SegmentName? {
        let number = number(segmentSize: segmentSize)
        return number == 0 ? nil : SegmentName(timeline: timeline, number: number - 1, segmentSize: segmentSize)
    }

    /// The segment of the same position on another timeline.
    public func on(_ timeline: TimelineID) -> SegmentName { SegmentName(timeline: timeline, log: log, place: place) }

    public static func < (a: Self, b: Self) -> Bool {
        (a.timeline, a.log, a.place) < (b.timeline, b.log, b.place)
    }

    /// Whether initdb accepts a segment size (`IsValidWalSegSize`, src/include/access/xlog_internal.h).
    public static func exists(segmentSize: some BinaryInteger) -> Bool {
        (1 << 20...1 << 30).contains(segmentSize) && segmentSize & (segmentSize - 1) == 0
    }

    /// Whether a cluster with this segment size can have a file of this name.
    public func isPossible(segmentSize: UInt32) -> Bool { UInt64(place) < 0x1_0000_0000 / UInt64(segmentSize) }
}

extension SegmentName: LosslessStringConvertible {
    /// Reads exactly 24 upper-case hexadecimal digits.
    public init?(_ text: String) {
        let bytes = Array(text.utf8)
        guard bytes.count == 24, bytes.allSatisfy({ isHexDigit($0) && !(UInt8(ascii: "a")...UInt8(ascii: "f") ~= $0) }),
            let timeline = UInt32(text.prefix(8), radix: 16), timeline > 0,
            let log = UInt32(text.dropFirst(8).prefix(8), radix: 16), let place = UInt32(text.suffix(8), radix: 16)
        else { return nil }
        self.init(timeline: TimelineID(timeline), log: log, place: place)
    }

    public var description: String { timeline.fileNamePart + hex(log, width: 8) + hex(place, width: 8) }

    /// The first sixteen digits: timeline and log number.
    public var folder: String { timeline.fileNamePart + hex(log, width: 8) }
}

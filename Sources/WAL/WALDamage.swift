public import Messages

/// A WAL segment that contradicts its name, its position or its checksums.
public struct WALDamage: Explained, Equatable {
    public enum Reason: Hashable, Sendable {
        /// The first page isn't a WAL page at all.
        case notWAL
        /// A WAL page of an unknown PostgreSQL version. As far as can be told, nothing is wrong with it.
        case unknownVersion(magic: UInt16)
        /// The file is shorter or longer than its segment size.
        case length(found: UInt64, expected: UInt64)
        case segmentSize(UInt32)
        case blockSize(UInt32)
        case systemIdentifier(found: UInt64, expected: UInt64)
        case pageMagic(found: UInt16, expected: UInt16)
        case pageFlags(UInt16)
        /// The page belongs elsewhere: old content of a recycled file, or a renamed file.
        case pageAddress(found: LSN, expected: LSN)
        case pageTimeline(found: TimelineID, allowed: ClosedRange<UInt32>)
        /// A field of a page header that doesn't match the record before it, or the zeros.
        case continuation(found: UInt32, expected: UInt32)
        case pagePadding
        case recordLength(UInt32)
        case recordManager(UInt8)
        case previousRecord(found: LSN, expected: LSN?)
        case recordCRC(found: UInt32, computed: UInt32)
        /// The CRC is correct, but the parts of the record don't add up.
        case recordContent
        case recordPadding
        /// The WAL ends before the segment does.
        case endsEarly
        /// A page announces an abandoned record, but the record that must follow doesn't name it.
        case abandonedRecord
        /// The zeroed rest is valid only after a segment switch, and the record before it isn't one.
        case straddlingSwitch
        /// The record that continues here creates a tablespace, and no segment has its beginning.
        case unknownBeginning
    }

    public let reason: Reason
    /// Bytes from the start of the segment.
    public let offset: UInt64
    /// The position in the WAL; nil when it isn't known which segment this is.
    public let lsn: LSN?
    public let segment: SegmentName?

    public init(_ reason: Reason, offset: UInt64, lsn: LSN?, segment: SegmentName?) {
        self.reason = reason
        self.offset = offset
        self.lsn = lsn
        self.segment = segment
    }

    public var message: String {
        let name = segment.map { "WAL segment \"\($0)\"" } ?? "WAL segment"
        switch reason {
        case .notWAL: return "\(name) is not a WAL file"
        case .unknownVersion(let magic):
            return "\(name) was written by an unknown version of PostgreSQL (page magic \(hex(magic, width: 4)))"
        case .length: return "\(name) has the wrong size"
        case .systemIdentifier: return "\(name) belongs to another cluster"
        default:
            return "\(name) is damaged at offset \(offset)" + (lsn.map { " (\($0))" } ?? "")
        }
    }

    public var detail: String? {
        switch reason {
        case .notWAL: return "Its first page has no WAL page header."
        case .unknownVersion: return nil
        case .length(let found, let expected): return "It has \(found) bytes, expected \(expected)."
        case .segmentSize(let size): return "The first page states a segment size of \(size) bytes."
        case .blockSize(let size): return "The first page states a WAL block size of \(size) bytes, expected 8192."
        case .systemIdentifier(let found, let expected):
            return "Its system identifier is \(found), expected \(expected)."
        case .pageMagic(let found, let expected):
            return "The page's magic number is \(hex(found, width: 4)), expected \(hex(expected, width: 4))."
        case .pageFlags(let flags): return "The page's flags \(hex(flags, width: 4)) are not possible here."
        case .pageAddress(let found, let expected): return "The page's address is \(found), expected \(expected)."
        case .pageTimeline(let found, let allowed):
            return "The page's timeline is \(found), expected "
                + (allowed.lowerBound == allowed.upperBound
                    ? "\(allowed.lowerBound)." : "\(allowed.lowerBound) to \(allowed.upperBound).")
        case .continuation(let found, let expected):
            return "The page says that \(found) bytes of a record continue on it, expected \(expected)."
        case .pagePadding: return "The padding of the page's header is not zero."
        case .recordLength(let length): return "A record cannot have \(length) bytes."
        case .recordManager(let manager): return "The record's resource manager \(manager) does not exist."
        case .previousRecord(let found, let expected):
            return "The record says that the one before it is at \(found), "
                + (expected.map { "but that is at \($0)." } ?? "which is not before it.")
        case .recordCRC(let found, let computed):
            return "The record's CRC is \(hex(found, width: 8)), but its bytes have \(hex(computed, width: 8))."
        case .recordContent: return "The record's parts do not add up to its length."
        case .recordPadding: return "The padding after the record is not zero."
        case .endsEarly: return "There are no records after this point."
        case .abandonedRecord: return "The record that must report an abandoned record is not there."
        case .straddlingSwitch:
            return "The segment has no records, and the one before it does not end in a segment switch."
        case .unknownBeginning:
            return "A record that creates a tablespace continues here, and its beginning is in no segment before."
        }
    }

    public var hint: String? {
        switch reason {
        case .unknownVersion: "A newer version of tidemark may know it."
        case .systemIdentifier: "Check which cluster this segment comes from."
        default: nil
        }
    }
}

/// The files that PostgreSQL's archiver passes to `archive_command`, by name (src/include/postmaster/pgarch.h).
public enum ArchiveFileName: Hashable, Sendable, CustomStringConvertible {
    case segment(SegmentName)
    /// The last, incomplete segment of a timeline that a promotion left.
    case partial(SegmentName)
    case history(TimelineID)
    /// A backup history file: the segment that holds the backup's start, and the start's offset in it (bytes).
    case backupHistory(SegmentName, offset: UInt32)

    public init?(_ text: String) {
        if let segment = SegmentName(text) {
            self = .segment(segment)
        } else if text.hasSuffix(".partial"), let segment = SegmentName(String(text.dropLast(8))) {
            self = .partial(segment)
        } else if text.hasSuffix(".history"), text.utf8.count == 16,
            SegmentName(text.dropLast(8) + "0000000000000000") != nil,
            let timeline = UInt32(text.prefix(8), radix: 16)
        {
            self = .history(TimelineID(timeline))
        } else if text.hasSuffix(".backup"), text.utf8.count == 40, let segment = SegmentName(String(text.prefix(24))),
            text.dropFirst(24).first == ".", SegmentName("00000001" + "00000000" + text.dropFirst(25).prefix(8)) != nil,
            let offset = UInt32(text.dropFirst(25).prefix(8), radix: 16)
        {
            self = .backupHistory(segment, offset: offset)
        } else {
            return nil
        }
    }

    public var description: String {
        switch self {
        case .segment(let name): name.description
        case .partial(let name): name.description + ".partial"
        case .history(let timeline): timeline.fileNamePart + ".history"
        case .backupHistory(let name, let offset): name.description + "." + hex(offset, width: 8) + ".backup"
        }
    }

    public var timeline: TimelineID {
        switch self {
        case .segment(let name), .partial(let name), .backupHistory(let name, _): name.timeline
        case .history(let timeline): timeline
        }
    }
}

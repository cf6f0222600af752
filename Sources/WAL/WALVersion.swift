/// A PostgreSQL major version, by the magic number of its WAL pages (`XLOG_PAGE_MAGIC`,
/// src/include/access/xlog_internal.h). Record layouts differ between versions in a few places.
public enum WALVersion: Int, Sendable, CaseIterable, Comparable {
    case v12 = 12
    case v13, v14, v15, v16, v17, v18

    /// Nil for a magic number of a version (or fork, or beta) that this reader doesn't know.
    public init?(magic: UInt16) {
        switch magic {
        case 0xD101: self = .v12
        case 0xD106: self = .v13
        case 0xD10D: self = .v14
        case 0xD110: self = .v15
        case 0xD113: self = .v16
        case 0xD116: self = .v17
        case 0xD118: self = .v18
        default: return nil
        }
    }

    public var magic: UInt16 {
        switch self {
        case .v12: 0xD101
        case .v13: 0xD106
        case .v14: 0xD10D
        case .v15: 0xD110
        case .v16: 0xD113
        case .v17: 0xD116
        case .v18: 0xD118
        }
    }

    /// The major version, 12…18.
    public var major: Int { rawValue }

    /// The most bytes a record can have: `XLogRecordMaxSize` since 16, before that the allocator's limit.
    var longestRecord: UInt32 { self >= .v16 ? 1020 << 20 : (1 << 30) - 1 }

    public static func < (a: Self, b: Self) -> Bool { a.rawValue < b.rawValue }
}

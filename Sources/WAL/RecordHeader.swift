/// The code that writes and replays a kind of record (src/include/access/rmgrlist.h).
public struct ResourceManager: RawRepresentable, Hashable, Sendable, CustomStringConvertible {
    public let rawValue: UInt8
    public init(rawValue: UInt8) { self.rawValue = rawValue }

    public static let xlog = ResourceManager(rawValue: 0)
    public static let transaction = ResourceManager(rawValue: 1)
    public static let storage = ResourceManager(rawValue: 2)
    public static let database = ResourceManager(rawValue: 4)
    public static let tablespace = ResourceManager(rawValue: 5)
    public static let relationMap = ResourceManager(rawValue: 7)
    public static let standby = ResourceManager(rawValue: 8)
    public static let heap = ResourceManager(rawValue: 10)
    public static let logicalMessage = ResourceManager(rawValue: 21)

    /// Built-in ones are 0…21 in PostgreSQL 12–18; extensions have 128…255 (15 and later).
    public var isValid: Bool { rawValue <= 21 || rawValue >= 128 }

    /// The name pg_waldump shows; `custom130` for an extension's.
    public var description: String {
        let names = [
            "XLOG", "Transaction", "Storage", "CLOG", "Database", "Tablespace", "MultiXact", "RelMap", "Standby",
            "Heap2", "Heap", "Btree", "Hash", "Gin", "Gist", "Sequence", "SPGist", "BRIN", "CommitTs",
            "ReplicationOrigin", "Generic", "LogicalMessage",
        ]
        if rawValue < names.count { return names[Int(rawValue)] }
        return rawValue >= 128 ? "custom\(rawValue)" : "unknown\(rawValue)"
    }
}

/// A record's position and its 24-byte header (src/include/access/xlogrecord.h).
public struct RecordHeader: Hashable, Sendable {
    /// Position of the record's first byte.
    public let lsn: LSN
    /// Where the record before this one starts.
    public let previous: LSN
    /// Bytes of the whole record, with its header and without page headers.
    public let length: UInt32
    /// The transaction that wrote it, possibly a subtransaction; 0 if none.
    public let xid: UInt32
    /// The high four bits belong to the resource manager.
    public let info: UInt8
    public let manager: ResourceManager
    /// CRC-32C of the record.
    public let crc: UInt32
}

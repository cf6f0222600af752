/// A relation's storage: what PostgreSQL calls RelFileLocator (RelFileNode before 16). The number names the files on
/// disk; it is not the relation's OID, and changes with every rewrite.
public struct RelationFile: Hashable, Comparable, Sendable, CustomStringConvertible {
    public let tablespace: UInt32
    /// 0 for the relations all databases share.
    public let database: UInt32
    public let number: UInt32

    public init(tablespace: UInt32, database: UInt32, number: UInt32) {
        self.tablespace = tablespace
        self.database = database
        self.number = number
    }

    /// `1663/16384/16385`, as pg_waldump shows it.
    public var description: String { "\(tablespace)/\(database)/\(number)" }

    public static func < (a: Self, b: Self) -> Bool {
        (a.tablespace, a.database, a.number) < (b.tablespace, b.database, b.number)
    }
}

/// One of the up to four kinds of files a relation has (`ForkNumber`).
public enum Fork: UInt8, Hashable, Comparable, Sendable, CaseIterable {
    case main = 0
    case freeSpace = 1
    case visibility = 2
    case initial = 3

    public static func < (a: Self, b: Self) -> Bool { a.rawValue < b.rawValue }
}

/// A data block that a record changes.
public struct BlockReference: Hashable, Sendable {
    public enum Image: Sendable {
        case none
        /// A full-page image that redo writes.
        case restored
        /// An image that is only compared (`wal_consistency_checking`).
        case compared
    }

    /// The reference's number in its record, 0…32. Not stable across minor versions.
    public let id: UInt8
    public let file: RelationFile
    public let fork: Fork
    public let block: UInt32
    public let image: Image
}

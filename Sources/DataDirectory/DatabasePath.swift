/// A path in or below the directory of one database: `base/5/1259`, `pg_tblspc/16400/PG_16_202307071/5/16384`.
public struct DatabasePath: Sendable {
    /// The database's OID.
    public let database: UInt32
    /// The names below the directory of the database; empty for the directory itself.
    public let names: [Substring]

    /// Nil for any other path.
    ///
    /// - Parameter path: relative to the data directory.
    public init?(_ path: some StringProtocol) {
        let parts = path.split(separator: "/").map { Substring($0) }
        let place = parts.first == "base" ? 1 : parts.first == "pg_tblspc" ? 3 : Int.max
        guard place < parts.count, let database = UInt32(parts[place]) else { return nil }
        (self.database, names) = (database, Array(parts[(place + 1)...]))
    }
}

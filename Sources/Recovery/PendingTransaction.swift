import Platform
public import Postgres
public import WAL

/// A prepared transaction that is pending where a recovery ends: it holds its locks until it is committed or rolled
/// back.
public struct PendingTransaction: Sendable {
    /// Its name, as SQL writes it.
    let name: String
    /// Nil when only its OID is known.
    let database: String?
    /// Whether the recovery is still to come.
    private let isForeseen: Bool

    public static func all(_ connection: Connection) throws(QueryFailure) -> [PendingTransaction] {
        try connection.query("SELECT quote_literal(gid), database FROM pg_prepared_xacts ORDER BY prepared, gid").values
            .compactMap { row in
                guard let name = row[0], let database = row[1] else { return nil }
                return PendingTransaction(name: name, database: database, isForeseen: false)
            }
    }

    private init(name: String, database: String?, isForeseen: Bool) {
        (self.name, self.database, self.isForeseen) = (name, database, isForeseen)
    }

    /// A transaction that will be pending where a recovery ends.
    /// - Parameter databases: their names, by OID.
    public init(_ transaction: Prepare, databases: [UInt32: String]) {
        self.init(
            name: quotedLiteral(transaction.globalIdentifier), database: databases[transaction.database],
            isForeseen: true)
    }

    /// What must be done about it, as a sentence.
    public var sentence: String {
        let state = isForeseen ? "will be pending there and hold its locks" : "is pending and holds its locks"
        // A name that isn't printable ASCII is not shown.
        guard (name + (database ?? "")).unicodeScalars.allSatisfy({ $0.value >= 32 && $0.value < 127 }) else {
            return "A prepared transaction \(state): see pg_prepared_xacts."
        }
        let place = database.map { " in database \"\($0)\"" } ?? ""
        return
            "Prepared transaction \(name)\(place) \(state), until COMMIT PREPARED \(name) or ROLLBACK PREPARED \(name)."
    }

    /// - Parameter conninfo: of the server, for any database.
    func rollBack(_ conninfo: ConnectionString) throws {
        try Connection(ownServer: conninfo, database: database ?? "postgres").query("ROLLBACK PREPARED \(name)")
    }
}

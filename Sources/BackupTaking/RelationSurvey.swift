import Backups
import DataDirectory
import Postgres

/// Reads a server's databases and relations, and writes them to a backup's manifest in portions: there may be millions.
struct RelationSurvey {
    private let server: Connection
    private let conninfo: String
    private let directory: DataDirectory
    private let manifest: ManifestWriter
    /// Databases that could not be read, with the reason.
    private(set) var warnings: [String] = []
    /// Rows kept in memory at a time.
    private static let portion = 2000

    private static let query = """
        SELECT c.oid, nullif(pg_relation_filenode(c.oid), 0), c.reltablespace, n.nspname, c.relname, c.relkind,
               c.relpersistence, nullif(c.reltoastrelid, 0), i.indrelid, h.inhparent, c.relisshared, a.amname
        FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
        LEFT JOIN pg_index i ON i.indexrelid = c.oid
        LEFT JOIN pg_inherits h ON h.inhrelid = c.oid AND c.relispartition
        LEFT JOIN pg_am a ON a.oid = c.relam
        WHERE c.relpersistence <> 't'
        """

    /// Libraries of the table's access method, and of those of its indexes, without which their definitions can't be
    /// read; and of every type from which a column's values are built: an array's elements, a domain's base, a range's
    /// bounds, a row's fields.
    private static let libraryQuery = """
        WITH RECURSIVE part (relation, type) AS (
            SELECT a.attrelid, a.atttypid FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
            WHERE c.relkind IN ('r', 'p', 'm') AND a.attnum > 0 AND a.atttypid >= \(CatalogOID.firstNormal)
            UNION
            SELECT p.relation, inner_type.oid FROM part p JOIN pg_type t ON t.oid = p.type, LATERAL (
                SELECT t.typelem UNION ALL SELECT t.typbasetype
                UNION ALL SELECT rngsubtype FROM pg_range WHERE rngtypid = t.oid
                UNION ALL SELECT atttypid FROM pg_attribute WHERE attrelid = t.typrelid AND attnum > 0
            ) inner_type (oid) WHERE inner_type.oid >= \(CatalogOID.firstNormal))
        SELECT c.oid, p.probin FROM pg_class c JOIN pg_am a ON a.oid = c.relam JOIN pg_proc p ON p.oid = a.amhandler
        WHERE c.relkind IN ('r', 'p', 'm') AND p.probin IS NOT NULL
        UNION
        SELECT i.indrelid, p.probin FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_am a ON a.oid = c.relam
        JOIN pg_proc p ON p.oid = a.amhandler WHERE p.probin IS NOT NULL
        UNION
        SELECT part.relation, p.probin FROM part JOIN pg_type t ON t.oid = part.type JOIN pg_proc p ON p.oid = t.typoutput
        WHERE p.probin IS NOT NULL
        """

    init(_ server: Connection, conninfo: String, _ directory: DataDirectory, into manifest: ManifestWriter) {
        (self.server, self.conninfo, self.directory, self.manifest) = (server, conninfo, directory, manifest)
    }

    /// Connects to every database that allows it. If one can't be read, the backup lacks its names, but doesn't fail.
    ///
    /// - Returns: superusers who may log in, the bootstrap superuser first.
    mutating func run() throws -> [String] {
        let databases = try databases()
        try manifest.add(databases)
        var haveShared = false
        for database in databases where database.isConnectable {
            do {
                let session = try Connection(conninfo, serverOn: directory, database: database.name)
                try read(session, database.oid, shared: !haveShared)
                haveShared = true
            } catch let error as ConnectionFailure {
                warn(database, error)
            } catch let error as QueryFailure {
                warn(database, error)
            }
        }
        // Without the privilege to read pg_authid the list stays empty.
        return (try? server.query("SELECT rolname FROM pg_roles WHERE rolsuper AND rolcanlogin ORDER BY oid"))?
            .values.compactMap { $0[0] } ?? []
    }

    private mutating func warn(_ database: RelationMap.DatabaseRow, _ error: any Error) {
        warnings.append("the relations of database \"\(database.name)\" are not in the manifest: \(error)")
    }

    private func databases() throws -> [RelationMap.DatabaseRow] {
        let provider = server.majorVersion >= 15 ? "datlocprovider" : "'c'"
        return try server.query(
            """
            SELECT oid, datname, dattablespace, datallowconn, datcollate, datctype, \(provider) FROM pg_database
            ORDER BY oid
            """
        ).values.compactMap { row in
            guard let oid = row[0].flatMap({ UInt32($0) }), let name = row[1] else { return nil }
            var database = RelationMap.DatabaseRow(
                oid: oid, name: name, tablespace: row[2].flatMap { UInt32($0) } ?? 0, isConnectable: row[3] == "t")
            if let collation = row[4], let ctype = row[5] {
                database.locale = .init(collation: collation, ctype: ctype, provider: row[6] ?? "c")
            }
            return database
        }
    }

    private func read(_ session: Connection, _ database: UInt32, shared: Bool) throws {
        try forEachPortion(of: RelationSurvey.query, session) { rows in
            try manifest.add(
                rows.compactMap { row -> RelationMap.RelationRow? in
                    let isShared = row[10] == "t"
                    guard let oid = row[0].flatMap({ UInt32($0) }), !isShared || shared else { return nil }
                    return RelationMap.RelationRow(
                        database: isShared ? 0 : database, oid: oid, fileNode: row[1].flatMap { UInt32($0) },
                        tablespace: row[2].flatMap { UInt32($0) } ?? 0, schema: row[3] ?? "", name: row[4] ?? "",
                        kind: row[5] ?? "", persistence: row[6] ?? "", toast: row[7].flatMap { UInt32($0) },
                        indexOf: row[8].flatMap { UInt32($0) }, partitionOf: row[9].flatMap { UInt32($0) },
                        accessMethod: row[11])
                })
        }
        try forEachPortion(of: "SELECT oid, nspname FROM pg_namespace", session) { rows in
            try manifest.add(
                rows.compactMap { row -> RelationMap.SchemaRow? in
                    guard let oid = row[0].flatMap({ UInt32($0) }), let name = row[1] else { return nil }
                    return RelationMap.SchemaRow(database: database, oid: oid, name: name)
                })
        }
        try forEachPortion(of: RelationSurvey.libraryQuery, session) { rows in
            try manifest.add(
                rows.compactMap { row -> RelationMap.LibraryRow? in
                    guard let relation = row[0].flatMap({ UInt32($0) }), let path = row[1] else { return nil }
                    return RelationMap.LibraryRow(database: database, relation: relation, path: path)
                })
        }
    }

    private func forEachPortion(of query: String, _ session: Connection, _ body: ([[String?]]) throws -> Void) throws {
        try session.query("BEGIN")
        try session.query("DECLARE portions NO SCROLL CURSOR FOR \(query)")
        while true {
            let rows = try session.query("FETCH \(RelationSurvey.portion) FROM portions").values
            if rows.isEmpty { break }
            try body(rows)
        }
        try session.query("COMMIT")
    }
}

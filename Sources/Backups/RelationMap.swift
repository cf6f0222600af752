public import Repository
import SQLite

/// Names and files of databases and relations, for finding them without the server.
public struct RelationMap: Sendable {
    public struct DatabaseRow: Sendable {
        public var oid: UInt32
        public var name: String
        public var tablespace: UInt32
        public var isConnectable: Bool
        /// The locale that the operating system must have for connections; nil when not recorded.
        public var locale: Locale?

        public struct Locale: Sendable, Equatable {
            public let collation: String
            public let ctype: String
            /// `pg_database.datlocprovider`: `c` for the C library, `i` for ICU, `b` for PostgreSQL itself.
            public let provider: String
            public init(collation: String, ctype: String, provider: String = "c") {
                (self.collation, self.ctype, self.provider) = (collation, ctype, provider)
            }
        }

        public init(oid: UInt32, name: String, tablespace: UInt32 = 0, isConnectable: Bool = true) {
            (self.oid, self.name, self.tablespace, self.isConnectable) = (oid, name, tablespace, isConnectable)
        }
    }
    public struct RelationRow: Sendable {
        /// 0: shared by all databases.
        public var database: UInt32
        public var oid: UInt32
        /// Nil when it has no file, as a view.
        public var fileNode: UInt32?
        /// 0: the database's own.
        public var tablespace: UInt32
        public var schema: String
        public var name: String
        /// `pg_class.relkind`.
        public var kind: String
        /// `pg_class.relpersistence`.
        public var persistence: String
        public var toast: UInt32?
        public var indexOf: UInt32?
        public var partitionOf: UInt32?
        /// `pg_am.amname` of a table or an index.
        public var accessMethod: String?

        public init(
            database: UInt32, oid: UInt32, fileNode: UInt32?, tablespace: UInt32 = 0, schema: String, name: String,
            kind: String, persistence: String = "p", toast: UInt32? = nil, indexOf: UInt32? = nil,
            partitionOf: UInt32? = nil, accessMethod: String? = nil
        ) {
            (self.database, self.oid, self.fileNode, self.tablespace) = (database, oid, fileNode, tablespace)
            (self.schema, self.name, self.kind, self.persistence) = (schema, name, kind, persistence)
            (self.toast, self.indexOf, self.partitionOf) = (toast, indexOf, partitionOf)
            self.accessMethod = accessMethod
        }
    }
    public struct SchemaRow: Sendable {
        public var database: UInt32
        public var oid: UInt32
        public var name: String

        public init(database: UInt32, oid: UInt32, name: String) {
            (self.database, self.oid, self.name) = (database, oid, name)
        }
    }
    /// A library that is needed to read a table's rows: of an extension's type, or of a table access method.
    public struct LibraryRow: Sendable {
        public var database: UInt32
        public var relation: UInt32
        /// `pg_proc.probin`: usually `$libdir/name`.
        public var path: String

        public init(database: UInt32, relation: UInt32, path: String) {
            (self.database, self.relation, self.path) = (database, relation, path)
        }
    }
    public var databases: [DatabaseRow] = []
    public var relations: [RelationRow] = []
    public var schemas: [SchemaRow] = []
    /// Only for tables that need one.
    public var libraries: [LibraryRow] = []
    /// Superusers who may log in, the bootstrap superuser first: roles that can read a recovered copy.
    public var superusers: [String] = []

    public init(databases: [DatabaseRow] = [], relations: [RelationRow] = []) {
        (self.databases, self.relations) = (databases, relations)
    }

    /// Reads the map from a backup's manifest.
    ///
    /// - Parameter isWanted: which relations to keep in memory; there may be millions.
    /// - Throws: `ObjectDamaged`, `ObjectAbsent`, and what the store throws.
    public init(
        of backup: String, of archive: ClusterArchive,
        where isWanted: (RelationRow) throws -> Bool = { _ in true }
    ) throws {
        let manifest = try ManifestReader(backup, of: archive)
        let rows = try manifest.database.prepare("SELECT oid, name, tablespace, connectable FROM database ORDER BY oid")
        while try rows.step() {
            databases.append(
                DatabaseRow(
                    oid: UInt32(truncatingIfNeeded: rows.integer(0)), name: rows.text(1),
                    tablespace: UInt32(truncatingIfNeeded: rows.integer(2)), isConnectable: rows.integer(3) != 0))
        }
        let found = try manifest.database.prepare(
            """
            SELECT database, oid, filenode, tablespace, schema, name, kind, persistence, toast, index_of, partition_of,
                   access_method
            FROM relation
            """)
        func number(_ column: Int32) -> UInt32? {
            found.isNull(column) ? nil : UInt32(truncatingIfNeeded: found.integer(column))
        }
        while try found.step() {
            let row = RelationRow(
                database: number(0) ?? 0, oid: number(1) ?? 0, fileNode: number(2), tablespace: number(3) ?? 0,
                schema: found.text(4), name: found.text(5), kind: found.text(6), persistence: found.text(7),
                toast: number(8), indexOf: number(9), partitionOf: number(10),
                accessMethod: found.isNull(11) ? nil : found.text(11))
            if try isWanted(row) { relations.append(row) }
        }
        try readDemands(manifest.database)
        superusers = try RelationMap.superusers(manifest)
    }

    /// Superusers who may log in, according to a backup's manifest.
    ///
    /// - Throws: `ObjectDamaged`, `ObjectAbsent`, and what the store throws.
    public static func superusers(of backup: String, of archive: ClusterArchive) throws -> [String] {
        try superusers(ManifestReader(backup, of: archive))
    }

    private static func superusers(_ manifest: ManifestReader) throws -> [String] {
        let names = try manifest.database.text("SELECT value FROM meta WHERE name = 'superusers'") ?? ""
        return names.split(separator: "\n").map(String.init)
    }

    /// Reads schemas, and what a host needs for reading the databases and tables.
    private mutating func readDemands(_ database: Database) throws {
        let locales = try database.prepare("SELECT database, collation, ctype, provider FROM locale")
        while try locales.step() {
            let oid = UInt32(truncatingIfNeeded: locales.integer(0))
            guard let index = databases.firstIndex(where: { $0.oid == oid }) else { continue }
            databases[index].locale = .init(
                collation: locales.text(1), ctype: locales.text(2), provider: locales.text(3))
        }
        let names = try database.prepare("SELECT database, oid, name FROM schema")
        while try names.step() {
            schemas.append(
                SchemaRow(
                    database: UInt32(truncatingIfNeeded: names.integer(0)),
                    oid: UInt32(truncatingIfNeeded: names.integer(1)), name: names.text(2)))
        }
        let needed = try database.prepare("SELECT database, relation, path FROM library")
        while try needed.step() {
            libraries.append(
                LibraryRow(
                    database: UInt32(truncatingIfNeeded: needed.integer(0)),
                    relation: UInt32(truncatingIfNeeded: needed.integer(1)), path: needed.text(2)))
        }
    }
}

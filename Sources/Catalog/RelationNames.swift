import Platform
public import WAL

/// Names of databases and relations, from a backup's relation map.
public struct RelationNames: Sendable {
    public struct Relation: Hashable, Sendable {
        public let oid: UInt32
        /// Of the database; 0 for shared relations.
        public let database: UInt32
        public let schema: String
        public let name: String
        /// `pg_class.relkind`: r table, i index, t TOAST table, m materialized view, S sequence, …
        public let kind: String

        public init(oid: UInt32, database: UInt32, schema: String, name: String, kind: String) {
            (self.oid, self.database, self.schema, self.name, self.kind) = (oid, database, schema, name, kind)
        }

        /// Whether it holds user data, rather than a system catalog.
        public var isTable: Bool { ["r", "m", "p", "S"].contains(kind) }
        public var isSystem: Bool { schema == "pg_catalog" || schema == "information_schema" }
    }
    private struct Key: Hashable {
        let database: UInt32, number: UInt32
    }

    private var databases: [UInt32: String] = [:]
    private var byOID: [Key: Relation] = [:]
    private var byFile: [Key: Relation] = [:]

    public init() {}

    public mutating func add(database oid: UInt32, name: String) { databases[oid] = name }

    public mutating func add(_ relation: Relation, file: UInt32?) {
        byOID[Key(database: relation.database, number: relation.oid)] = relation
        if let file { byFile[Key(database: relation.database, number: file)] = relation }
    }

    public func database(_ oid: UInt32) -> String? { databases[oid] }

    public func relation(oid: UInt32, database: UInt32) -> Relation? { byOID[Key(database: database, number: oid)] }

    public func relation(_ file: RelationFile) -> Relation? {
        byFile[Key(database: file.database, number: file.number)]
    }

    /// `database.schema.table`, each part quoted where SQL requires it.
    public func fullName(_ relation: Relation) -> String {
        let name = plainIdentifier(relation.schema) + "." + plainIdentifier(relation.name)
        return databases[relation.database].map { plainIdentifier($0) + "." + name } ?? name
    }
}

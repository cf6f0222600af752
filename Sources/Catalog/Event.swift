public import WAL

/// Something notable that happened in the cluster.
public struct Event: Hashable, Sendable {
    public enum Kind: String, Sendable, CaseIterable {
        case drop
        case truncate
        /// New files for the same data: VACUUM FULL, CLUSTER, REINDEX, ALTER TABLE, REFRESH MATERIALIZED VIEW.
        case rewrite
        case dropDatabase = "drop-database"
        case dropTablespace = "drop-tablespace"
        case createDatabase = "create-database"
        case restorePoint = "restore-point"
        /// A timeline begins.
        case timelineSwitch = "switch"
        case parameter
        /// A base backup ended.
        case backup
        /// WAL is missing: what happened in it is not known.
        case gap

        /// Whether data is lost by it.
        public var isDestructive: Bool {
            switch self {
            case .drop, .truncate, .dropDatabase, .dropTablespace: true
            default: false
            }
        }
    }

    /// The target of a recovery that undoes the event, or stops at it.
    public enum Target: Hashable, Sendable {
        /// Everything before the record at this position.
        case before(LSN)
        /// The restore point of this name.
        case restorePoint(String)
    }

    public var kind: Kind
    public var timeline: TimelineID
    public var lsn: LSN
    public var time: Moment?
    public var xid: UInt32?
    /// Names of the relations or of the database concerned, `database.schema.table`.
    public var objects: [String]
    /// Files that no backup's relation map has a name for.
    public var unnamed: [RelationFile]
    /// Further details: the restore point's name, the new timeline, …
    public var detail: String?
    public var target: Target?
}

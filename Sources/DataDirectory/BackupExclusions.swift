/// The files that a base backup omits, as PostgreSQL's own does
/// (<https://www.postgresql.org/docs/current/protocol-replication.html>, `BASE_BACKUP`, and `excludeDirContents`,
/// `excludeFiles` in src/backend/backup/basebackup.c).
public enum BackupExclusions {
    /// Directories whose contents are omitted; the empty directories belong to the copy.
    public static let emptiedDirectories: Set<String> = [
        "pg_wal", "pg_stat_tmp", "pg_replslot", "pg_dynshmem", "pg_notify", "pg_serial", "pg_snapshots", "pg_subtrans",
    ]

    /// Directories below `pg_wal` that a server expects to find.
    public static func walDirectories(major: Int) -> [String] {
        ["pg_wal/archive_status"] + (major >= 17 ? ["pg_wal/summaries"] : [])
    }

    /// Files of the data directory's top level that must not be in a copy.
    private static let files: Set<String> = [
        "postgresql.auto.conf.tmp", "current_logfiles.tmp", "backup_label", "tablespace_map", "backup_manifest",
        "postmaster.pid", "postmaster.opts", "backup_label.old", "tablespace_map.old",
    ]

    /// fsck's directory at the top of a file system: neither backed up nor removed by a restore.
    public static let lostAndFound = "lost+found"

    /// Whether the entry `name` of a directory is omitted.
    ///
    /// - Parameter directory: relative to the data directory, empty for the directory itself.
    public static func excludes(_ name: String, in directory: String) -> Bool {
        if directory.isEmpty && (files.contains(name)) { return true }
        // fsck's, in the root of a file system; PostgreSQL doesn't use the name, and usually may not read the
        // directory.
        if name == lostAndFound { return true }
        // A server whose socket lies in its data directory: the lock file beside it names a process of this machine.
        return name.hasPrefix("pgsql_tmp") || name.hasPrefix("pg_internal.init") || name.hasPrefix(".s.PGSQL.")
    }
}

public import Repository
public import SQLite
import WAL

/// The tables of `manifest.sqlite.zst`, documented in docs/repository.md.
public enum Manifest {
    public static let format = "1"
    public static let objectName = "manifest.sqlite.zst"

    public static let schema = """
        CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
        CREATE TABLE pack (id INTEGER PRIMARY KEY, label TEXT NOT NULL, number INTEGER NOT NULL, word TEXT NOT NULL,
            size INTEGER NOT NULL, digest BLOB NOT NULL);
        CREATE TABLE frame (id INTEGER PRIMARY KEY, pack INTEGER NOT NULL, offset INTEGER NOT NULL,
            length INTEGER NOT NULL, size INTEGER NOT NULL, digest BLOB NOT NULL);
        CREATE TABLE file (id INTEGER PRIMARY KEY, path TEXT NOT NULL, kind TEXT NOT NULL, mode INTEGER NOT NULL,
            modified INTEGER NOT NULL, size INTEGER NOT NULL, target TEXT, digest BLOB);
        CREATE TABLE runs (file INTEGER PRIMARY KEY, list BLOB NOT NULL);
        CREATE TABLE database (oid INTEGER PRIMARY KEY, name TEXT NOT NULL, tablespace INTEGER NOT NULL,
            connectable INTEGER NOT NULL);
        CREATE TABLE relation (database INTEGER NOT NULL, oid INTEGER NOT NULL, filenode INTEGER,
            tablespace INTEGER NOT NULL, schema TEXT NOT NULL, name TEXT NOT NULL, kind TEXT NOT NULL,
            persistence TEXT NOT NULL, toast INTEGER, index_of INTEGER, partition_of INTEGER,
            access_method TEXT,
            PRIMARY KEY (database, oid)) WITHOUT ROWID;
        CREATE TABLE locale (
            database INTEGER PRIMARY KEY, collation TEXT NOT NULL, ctype TEXT NOT NULL, provider TEXT NOT NULL);
        CREATE TABLE schema (database INTEGER NOT NULL, oid INTEGER NOT NULL, name TEXT NOT NULL,
                             PRIMARY KEY (database, oid)) WITHOUT ROWID;
        CREATE TABLE library (database INTEGER NOT NULL, relation INTEGER NOT NULL, path TEXT NOT NULL,
            PRIMARY KEY (database, relation, path)) WITHOUT ROWID;
        """

    /// Every table with its columns: a manifest without one of them is damaged.
    static let tables = [
        "meta": "name, value", "pack": "id, label, number, word, size, digest",
        "frame": "id, pack, offset, length, size, digest",
        "file": "id, path, kind, mode, modified, size, target, digest", "runs": "file, list",
        "database": "oid, name, tablespace, connectable",
        "relation": """
        database, oid, filenode, tablespace, schema, name, kind, persistence, toast, index_of, partition_of, access_method
        """,
        "locale": "database, collation, ctype, provider", "schema": "database, oid, name",
        "library": "database, relation, path",
    ]

    /// Created at the end: updating an index row by row takes several times as long.
    public static let indexes = """
        CREATE UNIQUE INDEX file_by_path ON file (path);
        CREATE INDEX relation_by_filenode ON relation (database, filenode);
        """

    /// The most content of one frame; a multiple of the page size.
    public static let frameSize = 1 << 20
    /// The `frame` of runs of zeros, which are not stored.
    public static let zeros: Int64 = 0

    /// A frame's number while the manifest is being collected: its pack's in the manifest, and its index in that pack
    /// from 0. At the end they are numbered in this order, in which a restore reads each pack from front to back.
    public static func frameID(pack: Int, ordinal: Int) -> Int64 { Int64(pack) << 24 | Int64(ordinal) }

    /// The number of regular files, and their total size in bytes.
    public static func regularFiles(in manifest: Database) throws -> (count: Int, size: Int64) {
        let sums = try manifest.prepare("SELECT count(*), sum(size) FROM file WHERE kind = 'f'")
        guard try sums.step() else { return (0, 0) }
        return (Int(sums.integer(0)), sums.integer(1))
    }
}

/// A pack that a manifest refers to.
public struct ManifestPack: Sendable, Equatable {
    /// The backup that stored it.
    public var label: String
    public var name: PackName
    /// Bytes in the repository, and their digest.
    public var size: Int64
    public var digest: Digest

    public init(label: String, name: PackName, size: Int64, digest: Digest) {
        (self.label, self.name, self.size, self.digest) = (label, name, size, digest)
    }
}

/// A file in the cluster or in the backup.
public struct ManifestFile: Sendable, Equatable {
    public enum Kind: String, Sendable {
        case regular = "f"
        case directory = "d"
        /// A link in `pg_tblspc` to a directory outside, which is in `target`.
        case tablespace = "t"
    }
    /// Relative to the data directory.
    public var path: String
    public var kind: Kind
    public var mode: UInt32
    /// Microseconds since 1970.
    public var modified: Int64
    public var size: Int64
    public var target: String?
    /// The content's digest; nil for a large file, and for one that became small while it was copied.
    public var digest: Digest?

    public init(
        path: String, kind: Kind, mode: UInt32, modified: Int64, size: Int64, target: String?, digest: Digest? = nil
    ) {
        (self.path, self.kind, self.mode, self.modified) = (path, kind, mode, modified)
        (self.size, self.target, self.digest) = (size, target, digest)
    }
}

/// Maps bytes of a file to bytes of a frame.
public struct ManifestRun: Sendable, Equatable {
    /// The file's number in the manifest.
    public var file: Int
    public var offset: Int64
    public var length: Int64
    public var frameOffset: Int64

    public init(file: Int, offset: Int64, length: Int64, frameOffset: Int64) {
        (self.file, self.offset, self.length, self.frameOffset) = (file, offset, length, frameOffset)
    }
}

/// A run with its file; nil when the manifest has no such file.
public struct FileRun: Sendable {
    public var run: ManifestRun
    public var file: ManifestFile?
}

import Repository
import SQLite
import WAL

/// The tables of `manifest.sqlite.zst`, documented in docs/repository.md.
enum Manifest {
    static let format = "1"
    static let objectName = "manifest.sqlite.zst"

    static let schema = """
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

    /// Made when everything is in: filling an index row by row costs several times as much.
    static let indexes = """
        CREATE UNIQUE INDEX file_by_path ON file (path);
        CREATE INDEX relation_by_filenode ON relation (database, filenode);
        """

    /// The most content that one frame holds; a multiple of the page size.
    static let frameSize = 1 << 20
    /// The `frame` of runs that are zeros and stored nowhere.
    static let zeros: Int64 = 0

    /// A frame's number while the manifest is being collected: its pack's in the manifest, and its place in that pack from 0.
    /// In the end they are counted in this order, in which a restore reads each pack from front to back.
    static func frameID(pack: Int, ordinal: Int) -> Int64 { Int64(pack) << 24 | Int64(ordinal) }

    /// How many regular files there are, and their bytes.
    static func regularFiles(in manifest: Database) throws -> (count: Int, size: Int64) {
        let sums = try manifest.prepare("SELECT count(*), sum(size) FROM file WHERE kind = 'f'")
        guard try sums.step() else { return (0, 0) }
        return (Int(sums.integer(0)), sums.integer(1))
    }
}

/// A pack that a manifest refers to.
struct ManifestPack: Sendable, Equatable {
    /// The backup that stored it.
    var label: String
    var name: PackName
    /// Bytes in the repository, and their digest.
    var size: Int64
    var digest: Digest
}

/// A file in the cluster or in the backup.
struct ManifestFile: Sendable, Equatable {
    enum Kind: String, Sendable {
        case regular = "f"
        case directory = "d"
        /// A link in `pg_tblspc` to a directory outside; `target` says where to.
        case tablespace = "t"
    }
    /// Relative to the data directory.
    var path: String
    var kind: Kind
    var mode: UInt32
    /// Microseconds since 1970.
    var modified: Int64
    var size: Int64
    var target: String?
    /// Of the content; nil for a large file, and for one that shrank to less while it was copied.
    var digest: Digest?
}

/// These bytes of a file are those bytes of a frame.
struct ManifestRun: Sendable, Equatable {
    /// The file's number in the manifest.
    var file: Int
    var offset: Int64
    var length: Int64
    var frameOffset: Int64
}

/// A run with the file it is of; nil when the manifest has no such file.
struct FileRun: Sendable {
    var run: ManifestRun
    var file: ManifestFile?
}

import Glibc
import Platform
import SQLite

/// The SQLite file of a catalog: created when it is missing, replaced when it is damaged or of another format.
struct CatalogFile {
    /// Raised with every change of the tables or of their meaning; a file with another number is replaced.
    static let format: Int64 = 8

    let path: String
    /// False for a catalog in memory, which ends with its process.
    var isKept = true

    /// Opens the file; reports to `note` why it had to be replaced.
    func open(note: (String) -> Void) throws -> Database {
        guard isKept else { return try fill(Database(":memory:", .create)) }
        try setStrangerAside(note)
        do {
            if let database = try openExisting(note: note) { return database }
        } catch let error as DatabaseError where error.isDamage {
            note("catalog \"\(path)\" is damaged and is rebuilt from the repository: \(error.reason)")
        }
        return try create()
    }

    /// Renames what lies in the catalog's place and isn't a file: tidemark didn't make it.
    private func setStrangerAside(_ note: (String) -> Void) throws {
        guard let status = try FileStatus(ifPresent: path), status.kind != .regular else { return }
        let aside = "\(path).aside-\(Clock.now)"
        try Files.rename(path, to: aside)
        note("\"\(path)\" is not a file; it is renamed to \"\(aside)\", and the catalog is rebuilt from the repository")
    }

    /// Removes the file and SQLite's files beside it.
    func remove() throws {
        for suffix in ["", "-wal", "-shm", "-journal"] { try Files.removeIfPresent(path + suffix) }
    }

    private func openExisting(note: (String) -> Void) throws -> Database? {
        guard let status = try FileStatus(ifPresent: path), status.size > 0 else { return nil }
        let database = try Database(path, .readWrite, busyTimeout: CatalogFile.shortWait)
        guard !database.isReadOnly else {
            note("catalog \"\(path)\" is read-only and is rebuilt from the repository")
            return nil
        }
        try prepare(database)
        let found = try database.integer("PRAGMA user_version")
        guard found == CatalogFile.format else {
            note("catalog \"\(path)\" has another format and is rebuilt from the repository")
            return nil
        }
        // A quick read of every table; damage elsewhere is found when it is read.
        _ = try database.integer("SELECT count(*) FROM (SELECT 1 FROM segment LIMIT 1)")
        _ = try database.integer("SELECT count(*) FROM folder")
        _ = try database.integer("SELECT count(*) FROM run")
        if let table = try OutsideChange.table(in: database) {
            note("catalog \"\(path)\" is rebuilt from the repository: somebody else has changed its table \"\(table)\"")
            return nil
        }
        return database
    }

    private func create() throws -> Database {
        try Files.makeDirectories(Files.parent(path), mode: 0o750)
        // Another process may be creating it: the second one finds it created.
        return try locked { try createLocked() }
    }

    /// Runs `body` while no other process creates or fills the catalog.
    func locked<Value>(_ body: () throws -> Value) throws -> Value {
        guard isKept else { return try body() }
        let name = path + ".lock"
        let lock = try Descriptor(open: name, O_RDWR | O_CREAT, mode: 0o640)
        var waited = 0
        while try !lock.tryLock(path: name) {
            guard waited < 600_000 else { throw Problem("could not lock catalog \"\(path)\" within ten minutes") }
            waited += 50
            Clock.sleep(milliseconds: 50)
        }
        defer { withExtendedLifetime(lock) {} }
        return try body()
    }

    /// Replaces the file by an empty one; for a caller that holds the lock.
    func makeAnew() throws -> Database {
        guard isKept else { return try fill(Database(":memory:", .create)) }
        try remove()
        return try createLocked()
    }

    private func createLocked() throws -> Database {
        if let made = try? openExisting(note: { _ in }) { return made }
        try remove()
        return try fill(Database(path, .create, busyTimeout: CatalogFile.shortWait))
    }

    /// How long to wait for another process before saying so, and in total, in milliseconds.
    static let shortWait: Int32 = 1000
    static let longWait: Int32 = 30_000

    private func fill(_ database: Database) throws -> Database {
        try prepare(database)
        try database.transaction {
            try database.execute(CatalogFile.tables)
            try database.execute(OutsideChange.definitions)
            try database.execute("PRAGMA user_version = \(CatalogFile.format)")
        }
        return database
    }

    /// The catalog can always be rebuilt, so a crash of the machine may lose the last changes.
    private func prepare(_ database: Database) throws {
        try database.disableTriggers()
        try database.execute("PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; PRAGMA cache_size = -16000")
    }

    private static let tables = """
        CREATE TABLE about (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
        CREATE TABLE history (timeline INTEGER PRIMARY KEY, content TEXT NOT NULL);
        CREATE TABLE folder (timeline INTEGER, name TEXT, mark INTEGER, listed INTEGER, PRIMARY KEY (timeline, name)) WITHOUT ROWID;
        CREATE TABLE segment (
            timeline INTEGER NOT NULL, number INTEGER NOT NULL,
            stored_bytes INTEGER NOT NULL,
            -- 0 read, 1 stored without a summary, 2 its head is damaged, 3 could not be read
            state INTEGER NOT NULL,
            -- 0 nothing known about its left side, 1 joined, 2 broken, 3 cannot be known
            link INTEGER NOT NULL,
            problem TEXT,
            first_record INTEGER, last_record INTEGER, end INTEGER,
            records INTEGER NOT NULL, commits INTEGER NOT NULL, aborts INTEGER NOT NULL,
            first_lsn INTEGER, first_end INTEGER, first_time INTEGER, first_xid INTEGER,
            last_lsn INTEGER, last_end INTEGER, last_time INTEGER, last_xid INTEGER,
            earliest_commit INTEGER, latest_commit INTEGER,
            earliest_stop INTEGER, latest_stop INTEGER,
            lowest_xid INTEGER, highest_xid INTEGER,
            PRIMARY KEY (timeline, number)) WITHOUT ROWID;
        -- What a listing said of a segment's object: that changes when another object takes its name.
        CREATE TABLE object (timeline INTEGER, number INTEGER, mark INTEGER NOT NULL, PRIMARY KEY (timeline, number))
            WITHOUT ROWID;
        CREATE INDEX segment_notable ON segment (timeline, number) WHERE link <> 1 OR state <> 0;
        -- A thousand neighbours in a row, so that a search over a million segments reads few rows.
        CREATE TABLE chunk (
            timeline INTEGER, chunk INTEGER,
            segments INTEGER, stored_bytes INTEGER, records INTEGER, commits INTEGER,
            earliest_stop INTEGER, latest_stop INTEGER, lowest_xid INTEGER, highest_xid INTEGER,
            PRIMARY KEY (timeline, chunk)) WITHOUT ROWID;
        CREATE TABLE run (timeline INTEGER, first INTEGER, last INTEGER, PRIMARY KEY (timeline, first)) WITHOUT ROWID;
        CREATE TABLE event (
            timeline INTEGER NOT NULL, number INTEGER NOT NULL, lsn INTEGER NOT NULL, kind INTEGER NOT NULL,
            time INTEGER, xid INTEGER, facts BLOB NOT NULL,
            PRIMARY KEY (timeline, number, lsn, kind)) WITHOUT ROWID;
        CREATE INDEX event_kind ON event (kind, lsn);
        -- Transactions that were open at the end of a segment, for the segment that comes next.
        CREATE TABLE open (timeline INTEGER, number INTEGER, facts BLOB NOT NULL, PRIMARY KEY (timeline, number))
            WITHOUT ROWID;
        """
}

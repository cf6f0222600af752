import CSQLite
public import Platform

/// An error from SQLite.
public struct DatabaseError: Explained, Equatable {
    /// The extended result code (<https://www.sqlite.org/rescode.html>).
    public let code: Int32
    public let reason: String
    public let sql: String?
    public let path: String

    public var message: String { "could not use database \"\(path)\": \(reason)" }
    public var detail: String? {
        sql.map { sql in
            let line = sql.prefix { $0 != "\n" }
            return "The statement was: \(line)\(line.utf8.count < sql.utf8.count ? " …" : "")"
        }
    }
    public var hint: String? {
        code & 0xFF == SQLITE_FULL ? "Free space on the file system that holds it, then try again." : nil
    }

    /// Whether the file is not a database, or is damaged: it lacks tables or columns, or has impossible values.
    public var isDamage: Bool {
        [SQLITE_CORRUPT, SQLITE_NOTADB].contains(code & 0xFF)
            || code & 0xFF == SQLITE_ERROR
                && (reason.hasPrefix("no such ") || reason.contains(" has no column ") || reason == "integer overflow")
    }
    /// Whether the place is the reason, and not the content: the file can't be opened or written, or the disk is full.
    public var isOfPlace: Bool {
        [SQLITE_CANTOPEN, SQLITE_READONLY, SQLITE_FULL, SQLITE_PERM, SQLITE_IOERR].contains(code & 0xFF)
    }
    /// Whether another connection held a lock for longer than the busy timeout.
    public var isBusy: Bool { code & 0xFF == SQLITE_BUSY }
}

/// One connection to an SQLite file; for one thread at a time.
public final class Database {
    public enum Access: Sendable {
        case readOnly
        /// The file must exist.
        case readWrite
        case create
        /// A file that nobody changes while it is open: no locks, no check for a journal.
        case immutable
    }

    public let path: String
    private let handle: OpaquePointer

    /// - Parameter busyTimeout: how long a statement waits for another connection's lock, in milliseconds.
    public init(_ path: String, _ access: Access = .readWrite, busyTimeout: Int32 = 5000) throws(DatabaseError) {
        var handle: OpaquePointer?
        var flags = SQLITE_OPEN_NOMUTEX
        var name = path
        switch access {
        case .readOnly: flags |= SQLITE_OPEN_READONLY
        case .readWrite: flags |= SQLITE_OPEN_READWRITE
        case .create: flags |= SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE
        case .immutable:
            flags |= SQLITE_OPEN_READONLY | SQLITE_OPEN_URI
            name = "file:" + Database.percentEncoded(path) + "?immutable=1"
        }
        let code = sqlite3_open_v2(name, &handle, flags, nil)
        guard code == SQLITE_OK, let handle else {
            let reason = handle.map { String(cString: sqlite3_errmsg($0)) } ?? String(cString: sqlite3_errstr(code))
            sqlite3_close_v2(handle)
            throw DatabaseError(code: code, reason: reason, sql: nil, path: path)
        }
        sqlite3_extended_result_codes(handle, 1)
        sqlite3_busy_timeout(handle, busyTimeout)
        self.path = path
        self.handle = handle
    }

    deinit { sqlite3_close_v2(handle) }

    /// Runs one or several statements that need no values and return no rows.
    public func execute(_ sql: String) throws(DatabaseError) {
        let code = sqlite3_exec(handle, sql, nil, nil, nil)
        if code != SQLITE_OK { throw error(sql) }
    }

    public func prepare(_ sql: String) throws(DatabaseError) -> Statement {
        var statement: OpaquePointer?
        guard sqlite3_prepare_v2(handle, sql, -1, &statement, nil) == SQLITE_OK, let statement else {
            throw error(sql)
        }
        return Statement(statement, sql: sql, database: self)
    }

    /// Prepares, binds and steps to the end.
    public func run(_ sql: String, _ values: (any Bindable)?...) throws(DatabaseError) {
        let statement = try prepare(sql)
        try statement.bind(values)
        while try statement.step() {}
    }

    /// The first column of the first row as a number; nil without a row or for NULL.
    public func integer(_ sql: String, _ values: (any Bindable)?...) throws(DatabaseError) -> Int64? {
        let statement = try prepare(sql)
        try statement.bind(values)
        return try statement.step() && !statement.isNull(0) ? statement.integer(0) : nil
    }

    /// The first column of the first row as text; nil without a row or for NULL.
    public func text(_ sql: String, _ values: (any Bindable)?...) throws(DatabaseError) -> String? {
        let statement = try prepare(sql)
        try statement.bind(values)
        return try statement.step() && !statement.isNull(0) ? statement.text(0) : nil
    }

    /// Triggers don't fire for statements of this connection.
    public func disableTriggers() throws(DatabaseError) {
        guard csqlite_disable_triggers(handle) == SQLITE_OK else { throw error(nil) }
    }

    /// Runs `body` in a transaction that takes the write lock at once; rolls back when it throws.
    public func transaction<Value>(_ body: () throws -> Value) throws -> Value {
        try execute("BEGIN IMMEDIATE")
        do {
            let value = try body()
            try execute("COMMIT")
            return value
        } catch {
            try? execute("ROLLBACK")
            throw error
        }
    }

    /// Within `transaction`: commits everything so far, and begins another transaction.
    public func commitSoFar() throws(DatabaseError) {
        try execute("COMMIT")
        try execute("BEGIN IMMEDIATE")
    }

    /// What `PRAGMA quick_check` finds wrong with the file; empty when it is sound.
    public func problems() throws(DatabaseError) -> [String] {
        let statement = try prepare("PRAGMA quick_check")
        var found: [String] = []
        while try statement.step() {
            let line = statement.text(0)
            if line != "ok" { found.append(line) }
        }
        return found
    }

    /// Whether the file was opened for writing, but can't be written.
    public var isReadOnly: Bool { sqlite3_db_readonly(handle, "main") == 1 }

    /// Rows that the last INSERT, UPDATE or DELETE changed.
    public var changes: Int { Int(sqlite3_changes(handle)) }

    /// For a row that tidemark can't have written: SQLite itself doesn't notice a changed value.
    public func damage(_ reason: String) -> DatabaseError {
        DatabaseError(code: SQLITE_CORRUPT, reason: reason, sql: nil, path: path)
    }

    func error(_ sql: String?) -> DatabaseError {
        DatabaseError(
            code: sqlite3_extended_errcode(handle), reason: String(cString: sqlite3_errmsg(handle)), sql: sql,
            path: path)
    }

    private static func percentEncoded(_ path: String) -> String {
        var encoded: [UInt8] = []
        for byte in path.utf8 {
            switch byte {
            case UInt8(ascii: "%"), UInt8(ascii: "?"), UInt8(ascii: "#"):
                encoded += Array(("%" + String(byte, radix: 16)).utf8)
            default: encoded.append(byte)
            }
        }
        return String(decoding: encoded, as: UTF8.self)
    }
}

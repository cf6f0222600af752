import CSQLite

/// A value for a parameter of a statement.
public protocol Bindable {
    func bind(to statement: Statement, at position: Int32) -> Int32
}

// SQLite copies the bytes before the call returns.
private var transient: sqlite3_destructor_type { unsafeBitCast(-1, to: sqlite3_destructor_type.self) }

extension Int64: Bindable {
    public func bind(to statement: Statement, at position: Int32) -> Int32 {
        sqlite3_bind_int64(statement.handle, position, self)
    }
}
extension Int: Bindable {
    public func bind(to statement: Statement, at position: Int32) -> Int32 {
        sqlite3_bind_int64(statement.handle, position, Int64(self))
    }
}
extension UInt32: Bindable {
    public func bind(to statement: Statement, at position: Int32) -> Int32 {
        sqlite3_bind_int64(statement.handle, position, Int64(self))
    }
}
extension Double: Bindable {
    public func bind(to statement: Statement, at position: Int32) -> Int32 {
        sqlite3_bind_double(statement.handle, position, self)
    }
}
extension String: Bindable {
    public func bind(to statement: Statement, at position: Int32) -> Int32 {
        sqlite3_bind_text(statement.handle, position, self, Int32(utf8.count), transient)
    }
}
extension Array: Bindable where Element == UInt8 {
    public func bind(to statement: Statement, at position: Int32) -> Int32 {
        withUnsafeBytes { bytes in
            // A null pointer would mean NULL.
            bytes.isEmpty
                ? sqlite3_bind_zeroblob(statement.handle, position, 0)
                : sqlite3_bind_blob(statement.handle, position, bytes.baseAddress, Int32(bytes.count), transient)
        }
    }
}

/// A prepared statement, finalized with the object; it keeps its database open.
public final class Statement {
    let handle: OpaquePointer
    private let sql: String
    private let database: Database

    init(_ handle: OpaquePointer, sql: String, database: Database) {
        self.handle = handle
        self.sql = sql
        self.database = database
    }

    deinit { sqlite3_finalize(handle) }

    /// Binds the parameters, from the first on; nil is NULL.
    public func bind(_ values: [(any Bindable)?]) throws(DatabaseError) {
        for (index, value) in values.enumerated() {
            let position = Int32(index + 1)
            let code = value?.bind(to: self, at: position) ?? sqlite3_bind_null(handle, position)
            if code != SQLITE_OK { throw database.error(sql) }
        }
    }

    /// Binds one value without boxing it; positions count from 1.
    public func bind(_ position: Int32, _ value: Int64) throws(DatabaseError) {
        if sqlite3_bind_int64(handle, position, value) != SQLITE_OK { throw database.error(sql) }
    }

    public func bindNull(_ position: Int32) throws(DatabaseError) {
        if sqlite3_bind_null(handle, position) != SQLITE_OK { throw database.error(sql) }
    }

    public func bind(_ position: Int32, _ value: String) throws(DatabaseError) {
        if value.bind(to: self, at: position) != SQLITE_OK { throw database.error(sql) }
    }

    public func bind(_ position: Int32, blob: UnsafeRawBufferPointer) throws(DatabaseError) {
        if sqlite3_bind_blob(handle, position, blob.baseAddress, Int32(blob.count), transient) != SQLITE_OK {
            throw database.error(sql)
        }
    }

    /// Advances to the next row; false after the last one, when the statement can be run again.
    public func step() throws(DatabaseError) -> Bool {
        switch sqlite3_step(handle) {
        case SQLITE_ROW: return true
        case SQLITE_DONE:
            sqlite3_reset(handle)
            return false
        default:
            let failure = database.error(sql)
            sqlite3_reset(handle)
            throw failure
        }
    }

    /// Runs a statement that returns no rows.
    public func run(_ values: (any Bindable)?...) throws(DatabaseError) {
        try bind(values)
        while try step() {}
    }

    /// As `Database.damage`.
    public func damage(_ reason: String) -> DatabaseError { database.damage(reason) }

    /// Ends a run before its last row.
    public func reset() { sqlite3_reset(handle) }

    public func isNull(_ column: Int32) -> Bool { sqlite3_column_type(handle, column) == SQLITE_NULL }
    public func integer(_ column: Int32) -> Int64 { sqlite3_column_int64(handle, column) }
    public func double(_ column: Int32) -> Double { sqlite3_column_double(handle, column) }

    /// Empty for NULL.
    public func text(_ column: Int32) -> String {
        guard let bytes = sqlite3_column_text(handle, column) else { return "" }
        let count = Int(sqlite3_column_bytes(handle, column))
        return String(decoding: UnsafeBufferPointer(start: bytes, count: count), as: UTF8.self)
    }

    /// Empty for NULL.
    public func blob(_ column: Int32) -> [UInt8] {
        guard let bytes = sqlite3_column_blob(handle, column) else { return [] }
        return [UInt8](UnsafeRawBufferPointer(start: bytes, count: Int(sqlite3_column_bytes(handle, column))))
    }
}

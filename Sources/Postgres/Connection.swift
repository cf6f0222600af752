import CPQ
import Glibc
public import Platform

/// A server could not be reached, or refused the connection.
public struct ConnectionFailure: Explained, Equatable {
    public enum Kind: Sendable {
        /// No server listens there, or the host can't be reached.
        case notRunning
        /// None runs on the cluster's data directory.
        case stopped
        /// It is starting up, shutting down, or recovering without hot_standby.
        case notReady
        case wrongPassword
        /// pg_hba.conf has no line for this user, database and address.
        case notAllowed
        case noSuchDatabase
        case noSuchUser
        case other
    }
    public let kind: Kind
    /// libpq's error text, one line per address tried.
    public let reason: String

    public var message: String { "could not connect to the PostgreSQL server" }
    public var detail: String? { reason }
    public var hint: String? {
        switch kind {
        case .notRunning: "Is the server running, and does \"conninfo\" name its host or socket directory and its port?"
        case .stopped: "Start it. If it runs where that cannot be seen, name its host and its port in \"conninfo\"."
        case .notReady: "Wait until the server accepts connections, then try again."
        case .wrongPassword: "libpq takes passwords from PGPASSFILE, ~/.pgpass, a service file, or PGPASSWORD."
        case .notAllowed: "Add a line for this user to pg_hba.conf and reload the server."
        case .noSuchDatabase: "Name an existing database with dbname in \"conninfo\"; \"postgres\" usually is one."
        case .noSuchUser: "Name an existing role with user in \"conninfo\"."
        case .other: nil
        }
    }

    init(noServerOn directory: String) {
        (kind, reason) = (.stopped, "no server is running on data directory \"\(directory)\"")
    }

    /// - Parameter libpqMessage: libpq's error text, or one in its form.
    public init(libpqMessage: String) {
        // What libpq asks about a server that it doesn't find, the hint asks.
        reason = libpqMessage.split(separator: "\n").map { $0.trimmingPrefix { $0.isWhitespace } }
            .filter { !$0.hasPrefix("Is the server running") }.joined(separator: "; ")
        func says(_ text: String) -> Bool { libpqMessage.contains(text) }
        kind =
            if says("password authentication failed") || says("no password supplied") {
                .wrongPassword
            } else if says("no pg_hba.conf entry") || says("pg_hba.conf rejects") || says("Peer authentication failed")
            {
                .notAllowed
            } else if says("the database system is") { .notReady } else if says("database \"") && says("does not exist")
            { .noSuchDatabase } else if says("role \"") && says("does not exist") {
                .noSuchUser
            } else if says("Is the server running") || says("could not translate host name") || says("timeout expired")
            {
                .notRunning
            } else { .other }
    }
}

/// The server refused a statement, or the connection was lost.
public struct QueryFailure: Explained, Equatable {
    /// Five characters, `42P01`; empty when the connection was lost.
    public let sqlState: String
    public let reason: String
    public let serverDetail: String?
    public let serverHint: String?
    public let sql: String

    public var message: String {
        // libpq's text has lines with guesses about the cause.
        sqlState.isEmpty
            ? "lost the connection to the PostgreSQL server: \(reason.prefix { $0 != "\n" })"
            : "the server refused: \(reason)"
    }
    public var detail: String? { serverDetail ?? "The statement was: \(sql)" }
    public var hint: String? {
        serverHint
            ?? (sqlState == "42501"
                ? "The role needs more rights: a superuser has all; docs/security.md has those for everything but \"init --write\"."
                : nil)
    }
}

/// The result of a query.
public struct Rows: Sendable, Equatable {
    public let columns: [String]
    /// NULL is nil.
    public let values: [[String?]]

    public var count: Int { values.count }
    public var isEmpty: Bool { values.isEmpty }
    public subscript(row: Int) -> [String?] { values[row] }
    /// The first column of the first row.
    public var scalar: String? { values.first?.first ?? nil }
}

/// A session with a server through libpq, with all of libpq's conventions: environment variables, service and password
/// files, several hosts. Calls block; one thread at a time.
public final class Connection {
    let handle: OpaquePointer
    /// 150020 for 15.20.
    public let serverVersion: Int
    public var majorVersion: Int { serverVersion / 10000 }

    /// - Parameters:
    ///   - conninfo: keywords or a URI; missing keywords come from the environment.
    ///   - database: overrides `dbname`.
    ///   - patience: how long the server may take to answer, in seconds: to accept the connection, unless
    ///     `connect_timeout` is set, and for each query. Nil lets a query take any time.
    ///   - isForReplication: a session for the commands of the streaming replication protocol, such as IDENTIFY_SYSTEM.
    ///     The settings of other sessions aren't made, and statements have no parameters.
    public init(
        _ conninfo: String, database: String? = nil, applicationName: String = "tidemark", patience: Int32? = nil,
        isForReplication: Bool = false
    ) throws(ConnectionFailure) {
        // With expand_dbname the first dbname may be a whole connection string; a later dbname overrides its database.
        var pairs: [(String, String)] = [("fallback_application_name", applicationName)]
        if getenv("PGCONNECT_TIMEOUT") == nil {
            pairs.append(("connect_timeout", "\(patience ?? Connection.longestGreeting)"))
        }
        pairs.append(("dbname", conninfo))
        if let database { pairs.append(("dbname", database)) }
        if isForReplication { pairs.append(("replication", "true")) }
        let words = pairs.map { (strdup($0.0), $0.0 == "dbname" ? copied($0.1) : strdup($0.1)) }
        defer {
            for word in words {
                free(word.0)
                free(word.1)
            }
        }
        var keys = words.map { UnsafePointer<CChar>($0.0) } + [nil]
        var values = words.map { UnsafePointer<CChar>($0.1) } + [nil]
        guard let handle = PQconnectdbParams(&keys, &values, 1) else {
            throw ConnectionFailure(libpqMessage: "out of memory")
        }
        guard PQstatus(handle) == CONNECTION_OK else {
            let message = String(cString: PQerrorMessage(handle))
            PQfinish(handle)
            // A string that can't be parsed is quoted in parts.
            var isReadable = true
            if conninfo.contains("=") || conninfo.contains("://") {
                do { _ = try ConnectionString(conninfo) } catch { isReadable = false }
            }
            throw ConnectionFailure(libpqMessage: isReadable ? message : ConnectionString.shown(message, of: conninfo))
        }
        let version = Int(PQserverVersion(handle))
        // Only the command line prints.
        PQsetNoticeProcessor(handle, { _, _ in }, nil)
        if !isForReplication {
            let isUnencoded = PQparameterStatus(handle, "server_encoding").map { String(cString: $0) } == "SQL_ASCII"
            let settings = OwnSession.statement(major: version / 10000, isUnencoded: isUnencoded)
            let answer =
                if let patience { Answer(handle, patience: patience) { PQsendQuery(handle, settings) } } else {
                    Answer.result(QueryResult(PQexec(handle, settings)))
                }
            guard case .result(let result) = answer, PQresultStatus(result.pointer) == PGRES_COMMAND_OK else {
                let message =
                    answer.isLate ? Connection.silence(patience ?? 0) : String(cString: PQerrorMessage(handle))
                PQfinish(handle)
                throw ConnectionFailure(libpqMessage: message)
            }
        }
        self.handle = handle
        self.patience = patience
        self.isForReplication = isForReplication
        serverVersion = version
    }

    private let patience: Int32?
    private let isForReplication: Bool

    /// In seconds. The kernel accepts connections for a server whose processes are stopped, and which never answers.
    private static let longestGreeting: Int32 = 60

    private static func silence(_ seconds: Int32) -> String { "the server does not answer within \(seconds) seconds" }

    deinit { PQfinish(handle) }

    /// Runs one statement; `$1`… get `parameters` as text.
    @discardableResult
    public func query(_ sql: String, _ parameters: [String?] = []) throws(QueryFailure) -> Rows {
        let words = parameters.map { $0.flatMap { strdup($0) } }
        defer { for word in words { free(word) } }
        var values = words.map { UnsafePointer<CChar>($0) }
        let count = Int32(parameters.count)
        // The replication protocol knows simple queries only.
        let answer =
            switch (isForReplication, patience) {
            case (true, let patience?): Answer(handle, patience: patience) { PQsendQuery(handle, sql) }
            case (true, nil): Answer.result(QueryResult(PQexec(handle, sql)))
            case (false, let patience?):
                Answer(handle, patience: patience) {
                    PQsendQueryParams(handle, sql, count, nil, &values, nil, nil, 0)
                }
            case (false, nil):
                Answer.result(QueryResult(PQexecParams(handle, sql, count, nil, &values, nil, nil, 0)))
            }
        guard case .result(let result) = answer else {
            throw QueryFailure(
                sqlState: "", reason: Connection.silence(patience ?? 0), serverDetail: nil, serverHint: nil, sql: sql)
        }
        switch PQresultStatus(result.pointer) {
        case PGRES_TUPLES_OK, PGRES_COMMAND_OK, PGRES_EMPTY_QUERY: return rows(of: result.pointer)
        default: throw failure(result.pointer, sql)
        }
    }

    /// Whether the session is usable, according to the last call.
    public var isAlive: Bool { PQstatus(handle) == CONNECTION_OK }

    private func rows(of result: OpaquePointer?) -> Rows {
        let width = PQnfields(result)
        let columns = (0..<width).map { String(cString: PQfname(result, $0)) }
        let values = (0..<PQntuples(result)).map { row in
            (0..<width).map { column -> String? in
                guard PQgetisnull(result, row, column) == 0 else { return nil }
                let bytes = UnsafeRawBufferPointer(
                    start: PQgetvalue(result, row, column), count: Int(PQgetlength(result, row, column)))
                return ServerText.string(bytes)
            }
        }
        return Rows(columns: columns, values: values)
    }

    func failure(_ result: OpaquePointer?, _ sql: String) -> QueryFailure {
        func field(_ code: Character) -> String? {
            PQresultErrorField(result, Int32(code.asciiValue!)).map { String(cString: $0) }
        }
        // PG_DIAG_SQLSTATE, _MESSAGE_PRIMARY, _DETAIL, _HINT (src/include/postgres_ext.h)
        let whole = String(cString: PQerrorMessage(handle)).split(separator: "\n").joined(separator: " ")
        return QueryFailure(
            sqlState: field("C") ?? "", reason: field("M") ?? whole, serverDetail: field("D"), serverHint: field("H"),
            sql: sql)
    }
}

/// As strdup(3), of a name that a server has told.
private func copied(_ text: String) -> UnsafeMutablePointer<CChar>? {
    (ServerText.bytes(text) + [0]).withUnsafeBufferPointer { bytes in
        bytes.withMemoryRebound(to: CChar.self) { $0.baseAddress.flatMap { strdup($0) } }
    }
}

import CPQ
public import Platform

/// A libpq connection string, parsed by libpq itself (`PQconninfoParse`), so that single keywords can be replaced.
public struct ConnectionString: Sendable, Equatable, CustomStringConvertible {
    private var values: [String: String] = [:]
    /// In the order in which they were first set.
    private var order: [String] = []

    /// Leaves everything to the environment.
    public init() {}

    /// - Parameter text: keywords and values, or a URI.
    public init(_ text: String) throws(Problem) {
        KnownSecrets.learn(conninfo: text)
        var complaint: UnsafeMutablePointer<CChar>?
        guard let options = PQconninfoParse(text, &complaint) else {
            defer { PQfreemem(complaint) }
            let reason = complaint.map { String(cString: $0) } ?? "out of memory"
            throw Problem(
                "conninfo cannot be understood",
                detail: ConnectionString.shown(String(reason.prefix { $0 != "\n" }), of: text),
                hint: "Write it as \"host=/var/run/postgresql dbname=postgres\" or as a postgresql:// URI.")
        }
        defer { PQconninfoFree(options) }
        var option = options
        while let keyword = option.pointee.keyword {
            if let value = option.pointee.val { self[String(cString: keyword)] = String(cString: value) }
            option += 1
        }
    }

    /// libpq's complaint about a string, without the quoted parts that may contain a secret.
    static func shown(_ complaint: String, of text: String) -> String {
        guard text.contains("://") || text.lowercased().contains("password") else { return complaint }
        return complaint.split(separator: "\"", omittingEmptySubsequences: false).enumerated()
            .map { $0 % 2 == 1 && $1 != "=" ? "…" : String($1) }.joined(separator: "\"")
    }

    /// A keyword's value; nil when the string doesn't have it.
    public subscript(keyword: String) -> String? {
        get { values[keyword] }
        set {
            if newValue == nil {
                order.removeAll { $0 == keyword }
            } else if values[keyword] == nil {
                order.append(keyword)
            }
            values[keyword] = newValue
        }
    }

    /// The same role and database on another server, which is reached through the socket in `directory`. Keywords that
    /// apply to the old server only, or refuse a server in recovery, are disabled, both in this string and in the
    /// environment and the service file, where libpq looks for missing ones.
    public func at(socketDirectory directory: String, port: String?) -> ConnectionString {
        var other = self
        other["host"] = directory
        // libpq would prefer this address to the host.
        other.silence("hostaddr", by: "")
        other.silence("target_session_attrs", by: "any")
        if let port { other["port"] = port }
        return other
    }

    /// With the role, the database and the credentials that libpq would take from the environment, so that they are
    /// known where that is hidden (`Connection.init(ownServer:)`). A service that the string names has its own.
    public var withIdentity: ConnectionString {
        guard values["service"] == nil, let options = PQconndefaults() else { return self }
        defer { PQconninfoFree(options) }
        var other = self
        var option = options
        while let keyword = option.pointee.keyword {
            let name = String(cString: keyword)
            if ["user", "dbname", "password", "passfile", "sslcert", "sslkey"].contains(name), values[name] == nil,
                let value = option.pointee.val
            {
                other[name] = String(cString: value)
                if name == "password" {
                    KnownSecrets.learn(conninfo: "password=\(ConnectionString.quoted(other[name] ?? ""))")
                }
            }
            option += 1
        }
        // Libpq's rule; with another role it would lead to another database.
        if other["dbname"] == nil { other["dbname"] = other["user"] }
        return other
    }

    /// Removes a keyword; where the environment or a service file has it, sets it to a value without effect instead,
    /// because libpq would look there.
    mutating func silence(_ keyword: String, by nothing: String) {
        self[keyword] = nil
        guard let options = PQconndefaults() else {
            self[keyword] = nothing
            return
        }
        defer { PQconninfoFree(options) }
        var option = options
        while let known = option.pointee.keyword {
            if String(cString: known) == keyword {
                let value = option.pointee.val.map { String(cString: $0) } ?? nothing
                if value != nothing || values["service"] != nil { self[keyword] = nothing }
                return
            }
            option += 1
        }
        // An older libpq doesn't know the keyword, and would reject it.
    }

    /// For a role of a temporary server, which requires no authentication and doesn't have what else a connection
    /// string demands of the server it was written for.
    ///
    /// - Parameter user: nil for the string's own.
    public func atOwnServer(socketDirectory directory: String, port: String?, user: String? = nil) -> ConnectionString {
        var other = withIdentity.at(socketDirectory: directory, port: port).withoutSecrets
        for keyword in ["passfile", "sslcert", "sslkey", "sslrootcert"] { other[keyword] = nil }
        for keyword in ["requirepeer", "require_auth"] { other.silence(keyword, by: "") }
        for keyword in ["channel_binding", "sslmode", "gssencmode"] { other[keyword] = "disable" }
        if let user { other["user"] = user }
        return other
    }

    /// Without secrets, for messages and logs.
    public var withoutSecrets: ConnectionString {
        var other = self
        for keyword in ["password", "sslpassword"] { other[keyword] = nil }
        return other
    }

    public var description: String {
        order.map { "\($0)=\(ConnectionString.quoted(values[$0] ?? ""))" }.joined(separator: " ")
    }

    /// A value quoted for libpq.
    public static func quoted(_ value: String) -> String {
        let isPlain = !value.isEmpty && !value.utf8.contains { $0 <= 0x20 || $0 == 0x27 || $0 == 0x5C }
        if isPlain { return value }
        return "'" + escaped(value) { $0 == "'" || $0 == "\\" ? "\\\($0)" : nil } + "'"
    }
}

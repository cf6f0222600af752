import CPQ
public import Platform

/// A libpq connection string, taken apart by libpq itself (`PQconninfoParse`), so that single keywords can be exchanged.
public struct ConnectionString: Sendable, Equatable, CustomStringConvertible {
    private var values: [String: String] = [:]
    /// In the order in which they were set first.
    private var order: [String] = []

    /// Leaves everything to the environment.
    public init() {}

    /// - Parameter text: keywords and values, or a URI.
    public init(_ text: String) throws(Problem) {
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

    /// What libpq says of a string that it can't read, without the pieces of it that it quotes where one may be a secret.
    static func shown(_ complaint: String, of text: String) -> String {
        guard text.contains("://") || text.lowercased().contains("password") else { return complaint }
        return complaint.split(separator: "\"", omittingEmptySubsequences: false).enumerated()
            .map { $0 % 2 == 1 && $1 != "=" ? "…" : String($1) }.joined(separator: "\"")
    }

    /// A keyword's value; nil when the string leaves it to the environment.
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

    /// The same role and database on another server, which is reached through the socket in `directory`. What leads
    /// to the old server only, or refuses one that recovers, has no effect: neither in this string nor where libpq looks for
    /// what a string leaves out, the environment and the service's file.
    public func at(socketDirectory directory: String, port: String?) -> ConnectionString {
        var other = self
        other["host"] = directory
        // libpq would go to the address rather than to the host's.
        other.silence("hostaddr", by: "")
        other.silence("target_session_attrs", by: "any")
        if let port { other["port"] = port }
        return other
    }

    /// Leaves a keyword out; where the environment or a service's file has it, libpq is given a value that means nothing instead,
    /// because it would look there.
    private mutating func silence(_ keyword: String, by nothing: String) {
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
        // An older libpq, which refuses what it doesn't know.
    }

    /// As a role of a temporary server of our own, which asks nobody for a proof: what else a connection string demands of the
    /// server it was written for, this one doesn't have.
    ///
    /// - Parameter user: nil for the one that the string names.
    public func atOwnServer(socketDirectory directory: String, port: String?, user: String? = nil) -> ConnectionString {
        var other = at(socketDirectory: directory, port: port).withoutSecrets
        for keyword in ["passfile", "sslcert", "sslkey", "sslrootcert"] { other[keyword] = nil }
        for keyword in ["requirepeer", "require_auth"] { other.silence(keyword, by: "") }
        for keyword in ["channel_binding", "sslmode", "gssencmode"] { other[keyword] = "disable" }
        if let user { other["user"] = user }
        return other
    }

    /// Without what nobody should read over a shoulder or in a log.
    public var withoutSecrets: ConnectionString {
        var other = self
        for keyword in ["password", "sslpassword"] { other[keyword] = nil }
        return other
    }

    public var description: String {
        order.map { "\($0)=\(ConnectionString.quoted(values[$0] ?? ""))" }.joined(separator: " ")
    }

    /// A value as libpq reads it back.
    public static func quoted(_ value: String) -> String {
        let isPlain = !value.isEmpty && !value.utf8.contains { $0 <= 0x20 || $0 == 0x27 || $0 == 0x5C }
        if isPlain { return value }
        return "'" + escaped(value) { $0 == "'" || $0 == "\\" ? "\\\($0)" : nil } + "'"
    }
}

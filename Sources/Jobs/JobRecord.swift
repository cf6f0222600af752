public import WAL

/// The kinds of jobs.
public enum JobKind: String, Sendable, Codable, CaseIterable {
    case backup
    case verify
    case drill
    case expire
    case recover
    case recoverTable = "recover-table"
}

/// One finished job, as recorded in the repository.
public struct JobRecord: Sendable, Equatable {
    public enum Result: String, Sendable, Codable, CaseIterable {
        case success
        /// It finished, and found problems: damage, corrupt pages.
        case problems
        case failure
    }

    public var kind: JobKind
    public var cluster: String
    public var started: Moment
    public var finished: Moment
    public var result: Result
    /// The command's exit status.
    public var exitStatus: Int32
    /// One line for people: what went wrong; nil when nothing did.
    public var message: String?
    /// The error's detail and hint.
    public var detail: String?
    public var hint: String?
    /// Facts about the job: the backup's label, the target, bytes.
    public var facts: [String: String]
    /// Who started it, by the operating system's user name, and where.
    public var user: String
    public var host: String
    public var tidemarkVersion: String

    public init(
        kind: JobKind, cluster: String, started: Moment, finished: Moment, result: Result, exitStatus: Int32 = 0,
        message: String? = nil, detail: String? = nil, hint: String? = nil, facts: [String: String] = [:],
        user: String, host: String, tidemarkVersion: String
    ) {
        (self.kind, self.cluster, self.started, self.finished) = (kind, cluster, started, finished)
        (self.result, self.exitStatus) = (result, exitStatus)
        (self.message, self.detail, self.hint, self.facts) = (message, detail, hint, facts)
        (self.user, self.host, self.tidemarkVersion) = (user, host, tidemarkVersion)
    }

    /// Milliseconds.
    public var duration: Int64 { max(0, (finished.microseconds - started.microseconds) / 1000) }
}

import Platform

/// The lines that make PostgreSQL call tidemark.
public struct ServerCommands: Sendable, Equatable {
    private let call: @Sendable (String) -> String
    private let program: String

    public static func == (a: Self, b: Self) -> Bool { a.archive == b.archive && a.restore == b.restore }

    /// - Parameters:
    ///   - executable: absolute path of the lean executable; the server's PATH is not ours.
    ///   - configuration: the configuration's path, when it isn't the standard one.
    ///   - cluster: always named: another one may come into the configuration later, and archiving must go on then.
    public init(executable: String, configuration: String?, cluster: String) {
        let options =
            (configuration.map { " --config " + quotedForShell($0) } ?? "") + " --cluster " + quotedForShell(cluster)
        let program = quotedForShell(executable)
        self.program = program
        call = { "\(program) \($0)\(options)" }
    }

    public var archive: String { call("archive-push") + " %p" }
    public var restore: String { call("archive-get") + " %f %p" }
    /// As `restore`, for one recovery.
    ///
    /// - Parameters:
    ///   - timeline: one that was put aside, to be served all the same.
    ///   - isCopy: the recovered directory isn't the cluster's own.
    ///   - stateDirectory: for a recovery that keeps to itself what others share.
    public func restore(putAside timeline: String?, isCopy: Bool, stateDirectory: String? = nil) -> String {
        call("archive-get") + (isCopy ? " --confine-tablespaces" : "") + (timeline.map { " --put-aside \($0)" } ?? "")
            + (stateDirectory.map { " --state-directory " + quotedForShell($0) } ?? "") + " %f %p"
    }
    /// Its failure doesn't count: PostgreSQL takes a command that isn't there for a reason to stop
    /// (`ExecuteRecoveryCommand` with `failOnSignal`).
    public var recoveryEnd: String { program + " recovery-end || :" }
}

/// A word for `sh -c` inside a setting where `%` starts a placeholder (`BuildArchiveRestoreCommand`,
/// src/common/archive.c).
func quotedForShell(_ word: String) -> String {
    shellQuoted(escaped(word) { $0 == "%" ? "%%" : nil })
}

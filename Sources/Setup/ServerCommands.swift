import DataDirectory
import Platform

/// The commands with which PostgreSQL calls tidemark.
public struct ServerCommands: Sendable, Equatable {
    private let call: @Sendable (String) -> String
    private let program: String

    public static func == (a: Self, b: Self) -> Bool { a.archive == b.archive && a.restore == b.restore }

    /// - Parameters:
    ///   - executable: absolute path of the lean executable; the server may have another PATH.
    ///   - configuration: the configuration's path, when it isn't the standard one.
    ///   - cluster: always named, so that archiving continues when another one is added to the configuration.
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
    ///   - timeline: one that was put aside, to be served nevertheless.
    ///   - isCopy: whether the recovered directory isn't the cluster's own.
    ///   - stateDirectory: for a recovery with a state directory of its own.
    public func restore(putAside timeline: String?, isCopy: Bool, stateDirectory: String? = nil) -> String {
        call("archive-get") + (isCopy ? " --confine-tablespaces" : "") + (timeline.map { " --put-aside \($0)" } ?? "")
            + (stateDirectory.map { " --state-directory " + quotedForShell($0) } ?? "") + " %f %p"
    }
    /// Its failure is ignored: PostgreSQL stops when a command isn't found (`ExecuteRecoveryCommand` with
    /// `failOnSignal`).
    public var recoveryEnd: String { program + RecoveryRecord.endCommand }
}

/// A word for `sh -c` in a setting in which `%` starts a placeholder (`BuildArchiveRestoreCommand`,
/// src/common/archive.c).
func quotedForShell(_ word: String) -> String {
    shellQuoted(escaped(word) { $0 == "%" ? "%%" : nil })
}

import Backups
public import Platform
public import Recovery
import Restoring

/// A restore that failed before its end: the state of the directory, and how to continue.
public struct UnfinishedRestore: Explained {
    public let cause: any Error
    public let directory: String
    /// The directories that the recovery has renamed, with their present names.
    private let renamed: [RecoveryState.Renamed]
    private let canResume: Bool

    /// Nil when nothing was restored yet.
    ///
    /// - Parameter canResume: whether the recovery's progress is recorded.
    public init?(
        cause: any Error, directory: String, renamed: [RecoveryState.Renamed] = [], canResume: Bool = true
    ) {
        guard (try? isUnfinishedRestore(directory)) == true || !renamed.isEmpty else { return nil }
        (self.cause, self.directory, self.renamed, self.canResume) = (cause, directory, renamed, canResume)
    }

    private var explained: (any Explained)? { cause as? any Explained }
    public var message: String { explained?.message ?? "\(cause)" }
    public var detail: String? {
        let rest = (try? isUnfinishedRestore(directory)) == true ? UnfinishedRestore.remains(in: directory) : nil
        let both = [explained?.detail, rest].compactMap { $0 }
        return both.isEmpty ? nil : both.joined(separator: " ")
    }
    public static func remains(in directory: String) -> String {
        "What has been restored stays in \"\(directory)\"; no server can be started on it in this state."
    }
    public var hint: String? {
        let back =
            RecoveryState.wayBack(renamed).map { " What was there before is brought back by: \($0.command)" } ?? ""
        if cause is LeaseLost {
            return "Remove the directory, then run the command again; it plans with what is in the repository now."
                + back
        }
        let go =
            canResume
            ? "continue with \"\(resumeCommand(directory))\", or remove the directory." + back
            : renamed.isEmpty
                ? "run the command again, or remove the directory."
                : "bring back what was there before, and run the command again." + back
        guard let hint = explained?.hint else { return "Remove the cause, then \(go)" }
        return "\(hint) Then \(go)"
    }
}

extension RecoveryState {
    /// The directory that a recovery has replaced, and the command that brings it back; nil when none was renamed.
    static func wayBack(_ renamed: [Renamed]) -> (directory: String, command: String)? {
        guard let own = renamed.last else { return nil }
        let steps = renamed.map { "rm -rf \(shellQuoted($0.from)) && mv \(shellQuoted($0.to)) \(shellQuoted($0.from))" }
        return (own.to, steps.joined(separator: " && "))
    }
}

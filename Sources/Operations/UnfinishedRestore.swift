import Backups
public import Platform
import Recovery
import Restoring

/// A restore that failed on its way: the state of the directory, and how to continue.
public struct UnfinishedRestore: Explained {
    public let cause: any Error
    public let directory: String

    /// Nil when nothing was restored yet.
    public init?(cause: any Error, directory: String) {
        guard (try? isUnfinishedRestore(directory)) == true else { return nil }
        (self.cause, self.directory) = (cause, directory)
    }

    private var explained: (any Explained)? { cause as? any Explained }
    public var message: String { explained?.message ?? "\(cause)" }
    public var detail: String? {
        let rest = UnfinishedRestore.remains(in: directory)
        return explained?.detail.map { "\($0) \(rest)" } ?? rest
    }
    public static func remains(in directory: String) -> String {
        "What has been restored stays in \"\(directory)\"; no server can be started on it in this state."
    }
    public var hint: String? {
        if cause is LeaseLost {
            return "Remove the directory, then run the command again; it plans with what is in the repository now."
        }
        let go = "continue with \"\(resumeCommand(directory))\", or remove the directory."
        guard let hint = explained?.hint else { return "Remove the cause, then \(go)" }
        return "\(hint) Then \(go)"
    }
}

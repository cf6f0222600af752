import BaseBackup
import Platform
import Recovery

/// A restore that failed on its way: what is there now, and how to go on.
struct UnfinishedRestore: Explained {
    let cause: any Error
    let directory: String

    /// Nil when nothing was restored yet.
    init?(cause: any Error, directory: String) {
        guard (try? isUnfinishedRestore(directory)) == true else { return nil }
        (self.cause, self.directory) = (cause, directory)
    }

    private var explained: (any Explained)? { cause as? any Explained }
    var message: String { explained?.message ?? "\(cause)" }
    var detail: String? {
        let rest = UnfinishedRestore.remains(in: directory)
        return explained?.detail.map { "\($0) \(rest)" } ?? rest
    }
    static func remains(in directory: String) -> String {
        "What is restored already stays in \"\(directory)\"; no server can be started on it as it is."
    }
    var hint: String? {
        let go = "continue with \"\(resumeCommand(directory))\", or remove the directory."
        guard let hint = explained?.hint else { return "Remove the cause, then \(go)" }
        return "\(hint) Then \(go)"
    }
}

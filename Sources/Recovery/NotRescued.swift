import Archiving
public import Platform

/// What the dead server committed last is in its pg_wal only, and can't be archived: a recovery would do without it.
public struct NotRescued: Explained {
    public let directory: String
    public let files: [String]
    public let reason: any Error
    /// Something is in the archive under the first one's name that can be neither read nor replaced.
    let isBlocked: Bool

    public init(directory: String, files: [String], reason: any Error) {
        self.init(directory: directory, files: files, reason: reason, isBlocked: false)
    }

    init(directory: String, files: [String], reason: any Error, isBlocked: Bool) {
        (self.directory, self.files, self.reason, self.isBlocked) = (directory, files, reason, isBlocked)
    }

    public var message: String {
        guard let first = files.first else {
            return "cannot tell what WAL in \"\(directory)\" is not archived"
        }
        return "cannot archive \"\(first)\""
            + (files.count > 1 ? " and \(files.count - 1) more file\(files.count == 2 ? "" : "s")" : "")
            + " of the old directory \"\(directory)\""
    }
    public var detail: String? {
        let explained = reason as? any Explained
        return "\(explained?.message ?? "\(reason)")." + (explained?.detail.map { " \($0)" } ?? "")
    }
    public var hint: String? {
        "Nothing was changed. "
            + (isBlocked
                ? "Make the object readable; if that is impossible, move it out of the repository: the old directory's own "
                    + "segment is then archived in its place. Then run the command again."
                : (reason as? DamagedOwnHistory)?.hint.map { $0 + " Then run the command again." }
                    ?? "Fix the cause, and run the command again.")
            + " To recover without this WAL, move the directory "
            + "out of the way: mv \(shellQuoted(directory)) \(shellQuoted(directory + ".dead"))"
    }
}

import Platform

/// For whom a file is pushed or fetched: PostgreSQL, which runs archive_command and restore_command in its data
/// directory, or a person, who may be anywhere.
public struct ArchiveCaller: Sendable {
    /// Relative paths start here. If it is a data directory, it shows which incarnation is meant.
    let directory: String
    /// Whether the result is still waited for.
    let isWaiting: @Sendable () -> Bool

    /// - Parameters:
    ///   - directory: an absolute path, or "." for a process that does nothing but this call.
    ///   - isWaiting: whether the caller is still there.
    public init(in directory: String, isWaiting: @escaping @Sendable () -> Bool) {
        (self.directory, self.isWaiting) = (directory, isWaiting)
    }

    /// Whether a server runs in the directory.
    var isServer: Bool { (try? Files.exists(path("postmaster.pid"))) == true }

    /// What the caller means by a path.
    func path(_ name: String) -> String {
        directory == "." || name.hasPrefix("/") ? name : directory + "/" + name
    }
}

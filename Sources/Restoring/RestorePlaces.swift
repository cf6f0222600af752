import Platform

/// The places of a restore's files: below the data directory or, for `pg_wal` and tablespaces, below the directories to
/// which their links led when the restore began. Each of these directories is held open, and no symbolic link is
/// followed below it.
struct RestorePlaces: Sendable {
    let root: HeldDirectory
    /// By path in the data directory.
    private var linked: [String: HeldDirectory] = [:]

    init(_ root: HeldDirectory) { self.root = root }

    /// Makes `path` in the data directory stand for another directory.
    mutating func link(_ path: String, to directory: HeldDirectory) { linked[path] = directory }

    /// - Parameter path: relative to the data directory; empty for itself.
    func callAsFunction(_ path: String) -> Place {
        guard path.hasPrefix("pg_") else { return Place(path.isEmpty ? "." : path, in: root) }
        for (link, directory) in linked {
            if path == link { return Place(".", in: directory) }
            if path.hasPrefix(link + "/") { return Place(String(path.dropFirst(link.utf8.count + 1)), in: directory) }
        }
        return Place(path, in: root)
    }

    /// As above, but the link itself.
    func entry(_ path: String) -> Place { Place(path, in: root) }
}

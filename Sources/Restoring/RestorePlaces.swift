import Platform

/// Where the files of a restore go: below the data directory or, behind the links that belong to a cluster, `pg_wal` and
/// tablespaces, below what these led to when they were looked at. Each of these directories is held open, and no symbolic
/// link is followed below it.
struct RestorePlaces: Sendable {
    let root: HeldDirectory
    /// By their paths in the data directory.
    private var linked: [String: HeldDirectory] = [:]

    init(_ root: HeldDirectory) { self.root = root }

    /// What lies below `path` in the data directory is in another directory.
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

    /// As above, but a link itself.
    func entry(_ path: String) -> Place { Place(path, in: root) }
}

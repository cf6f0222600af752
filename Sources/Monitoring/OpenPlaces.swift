import Glibc
import Platform

/// What others may change in a place of tidemark's: looks at every directory below it, and at some of the files in each, so
/// that a repository with millions of objects costs as much as one with thousands.
struct OpenPlaces {
    /// Of a directory's files at least so many, if there are, and fewer than twice as many are looked at, evenly spread over
    /// their names.
    static let sample = 50
    /// So many directories are enough for decades.
    static let mostDirectories = 100_000

    private(set) var count = 0
    private(set) var first: String?
    private var directories = 0

    init(below root: String) { look(into: root) }

    private mutating func look(into directory: String) {
        guard directories < OpenPlaces.mostDirectories else { return }
        directories += 1
        // What can't be read is no concern of this check.
        guard let names = try? Files.list(directory) else { return }
        // A repository's directories hold either directories or files; only the names of files are long rows.
        let step = max(1, names.count / OpenPlaces.sample)
        for (index, name) in names.sorted().enumerated() {
            let path = directory + "/" + name
            guard index % step == 0 || !OpenPlaces.looksLikeFile(name),
                let status = try? FileStatus(ofLinkItself: path), status.kind != .symbolicLink
            else { continue }
            if status.mode & 0o002 != 0 {
                count += 1
                first = first ?? path
            }
            if status.kind == .directory { look(into: path) }
        }
    }

    /// By the names that tidemark gives: those of directories have no dot in them, and only packs have six digits.
    private static func looksLikeFile(_ name: String) -> Bool {
        name.contains(".") || (name.utf8.count == 6 && Int(name) != nil)
    }
}

extension PermissionFinding {
    /// A directory above a path that another user could replace entries in; nil when there is none.
    ///
    /// - Parameter owners: who may own one, where that matters.
    static func openParent(of path: String, owners: Set<uid_t>? = nil) -> (path: String, isForeign: Bool)? {
        var directory = Files.parent(Files.resolved(path))
        while true {
            if let status = try? FileStatus(of: directory) {
                // In a directory with the sticky bit everybody can remove only what is his own.
                if status.mode & 0o002 != 0 && status.mode & 0o1000 == 0 { return (directory, false) }
                if let owners, !owners.contains(status.owner) { return (directory, true) }
            }
            if directory == "/" || directory == "." { return nil }
            directory = Files.parent(directory)
        }
    }
}

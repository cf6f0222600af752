import Glibc
import Platform

/// What others may change in one of tidemark's directories: checks every directory below it, and a sample of the files
/// in each, so that a repository with millions of objects takes no longer than one with thousands.
struct OpenPlaces {
    /// At least this many of a directory's files are checked, if there are, and fewer than twice as many, evenly spread
    /// over their names.
    static let sample = 50
    /// Enough directories for decades.
    static let mostDirectories = 100_000

    /// Where everybody may write.
    private(set) var count = 0
    private(set) var first: String?
    /// What belongs to somebody else.
    private(set) var foreignCount = 0
    private(set) var firstForeign: String?
    private let owners: Set<uid_t>
    private var directories = 0

    /// - Parameter owners: those that are allowed.
    init(below root: String, owners: Set<uid_t>) {
        self.owners = owners
        if let status = try? FileStatus(of: root), !owners.contains(status.owner) {
            (foreignCount, firstForeign) = (1, root)
        }
        look(into: root)
    }

    private mutating func look(into directory: String) {
        guard directories < OpenPlaces.mostDirectories else { return }
        directories += 1
        // Directories that can't be read are not this check's concern.
        guard let names = try? Files.list(directory) else { return }
        // A repository's directories have either directories or files; only files can be many.
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
            if !owners.contains(status.owner) {
                foreignCount += 1
                firstForeign = firstForeign ?? path
            }
            if status.kind == .directory { look(into: path) }
        }
    }

    /// By tidemark's names: those of directories have no dot, and only packs have six digits.
    private static func looksLikeFile(_ name: String) -> Bool {
        name.contains(".") || (name.utf8.count == 6 && Int(name) != nil)
    }
}

extension PermissionFinding {
    /// A directory above a path in which another user could replace entries; nil when there is none.
    ///
    /// - Parameter owners: the allowed owners.
    static func openParent(of path: String, owners: Set<uid_t>) -> (path: String, isForeign: Bool)? {
        var directory = Files.parent(Files.resolved(path))
        while true {
            if let status = try? FileStatus(of: directory) {
                // In a directory with the sticky bit users can remove only their own entries.
                if status.mode & 0o002 != 0 && status.mode & 0o1000 == 0 { return (directory, false) }
                if !owners.contains(status.owner) { return (directory, true) }
            }
            if directory == "/" || directory == "." { return nil }
            directory = Files.parent(directory)
        }
    }
}

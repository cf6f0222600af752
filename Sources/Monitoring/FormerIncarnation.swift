import Backups
import Platform
import Repository
public import WAL

/// The backups of an incarnation that is not in use.
public struct FormerIncarnation: Sendable {
    public let name: String
    public let backups: Int
    /// When the newest one ended.
    public let newest: Moment?
    /// The size of its backups in the repository, in bytes.
    public let stored: Int64

    /// Nil when it has no backups.
    init?(_ archive: ClusterArchive) throws {
        let all = try archive.listBackups().all
        guard !all.isEmpty else { return nil }
        name = archive.incarnation.folderName
        backups = all.count
        newest = all.map(\.stopTime).max()
        stored = all.reduce(0) { $0 + $1.storedSize }
    }

    /// Those of `archives` with backups, and sentences about those that can't be read.
    static func all(_ archives: [ClusterArchive]) -> (found: [FormerIncarnation], problems: [String]) {
        var (found, problems): ([FormerIncarnation], [String]) = ([], [])
        for archive in archives {
            do {
                if let one = try FormerIncarnation(archive) { found.append(one) }
            } catch {
                let reason = explanation(of: error)
                let name = "incarnation \(archive.incarnation.folderName)"
                problems.append("What was before initdb or pg_upgrade, \(name), cannot be read: \(reason).")
            }
        }
        return (found, problems)
    }
}

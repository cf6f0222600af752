import BaseBackup
import Platform
import Repository
public import WAL

/// What the repository holds of an incarnation that is not in use.
public struct FormerIncarnation: Sendable {
    public let name: String
    public let backups: Int
    /// When the newest one ended.
    public let newest: Moment?
    /// What its backups take, in bytes.
    public let stored: Int64

    /// Nil when it has no backups.
    init?(_ incarnation: Incarnation, in store: any ObjectStore) throws {
        let all = try listBackups(of: incarnation, in: store).all
        guard !all.isEmpty else { return nil }
        name = incarnation.folderName
        backups = all.count
        newest = all.map(\.stopTime).max()
        stored = all.reduce(0) { $0 + $1.storedSize }
    }

    /// All that a cluster has besides one, and sentences about those that can't be read.
    static func all(
        besides current: Incarnation, in store: any ObjectStore
    ) throws -> (found: [FormerIncarnation], problems: [String]) {
        var (found, problems): ([FormerIncarnation], [String]) = ([], [])
        for incarnation in try store.incarnations(of: current.cluster) where incarnation != current {
            do {
                if let one = try FormerIncarnation(incarnation, in: store) { found.append(one) }
            } catch {
                let reason = (error as? any Explained)?.message ?? "\(error)"
                let name = "incarnation \(incarnation.folderName)"
                problems.append("What was before initdb or pg_upgrade, \(name), cannot be read: \(reason).")
            }
        }
        return (found, problems)
    }
}

public import Configuration
public import Expiring
import Repository

/// Removes one backup, whatever retention says.
///
/// The caller may ask the user between `init` and `run`; nothing is changed before `run`.
public struct RemoveJob {
    /// What would be removed.
    public let found: NamedRemoval

    /// - Parameters:
    ///   - force: removes the backup even if it is pinned, or the last good one.
    ///   - incarnation: by its folder's name; nil for the one that has the backup.
    /// - Throws: `BackupNeeded`, `NoSuchBackup`, `BackupInProgress`, and what reading the repository throws.
    public init(
        _ label: String, force: Bool = false, incarnation: String? = nil, of cluster: ClusterConfiguration,
        _ context: JobContext = JobContext()
    ) throws {
        let known = try incarnations(of: cluster, context)
        found = try NamedRemoval(
            of: label, force: force, from: try incarnation.map(known.named) ?? known.holding(label),
            dataDirectory: cluster.dataDirectory)
    }

    /// - Returns: what was removed.
    /// - Throws: as above.
    public func run() throws -> NamedRemoval { try found.carryOut() }
}

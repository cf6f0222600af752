public import Configuration
public import Expiring
import Repository

/// Removes one backup, whatever the rules of retention want.
///
/// Between the initializer and `run` whoever gave the order can say no; nothing is changed until then.
public struct RemoveJob {
    /// What would go.
    public let found: NamedRemoval

    /// - Parameters:
    ///   - force: although it is pinned, or the last good one.
    ///   - incarnation: by its folder's name; nil for the one that has the backup.
    /// - Throws: `BackupNeeded`, `NoSuchBackup`, `BackupInProgress`, and what reading the repository throws.
    public init(
        _ label: String, force: Bool = false, incarnation: String? = nil, of cluster: ClusterConfiguration
    ) throws {
        let known = try incarnations(of: cluster)
        found = try NamedRemoval(
            of: label, force: force, from: try incarnation.map(known.named) ?? known.holding(label))
    }

    /// - Returns: what is gone.
    /// - Throws: as above.
    public func run() throws -> NamedRemoval { try found.carryOut() }
}

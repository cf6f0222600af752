public import Backups
public import Configuration
import Platform
import Repository

/// Reads the contents of a backup.
public struct ShowJob {
    private let cluster: ClusterConfiguration
    private let context: JobContext

    public init(of cluster: ClusterConfiguration, _ context: JobContext = JobContext()) {
        (self.cluster, self.context) = (cluster, context)
    }

    /// - Parameters:
    ///   - word: what `label(meantBy:)` understands.
    ///   - tables: how many of the largest tables to return.
    /// - Throws: `NoSuchBackup`, `AmbiguousLabel`, `DamagedDescription`, and what reading the repository throws.
    public func run(_ word: String, tables: Int = 20) throws -> ShowReport {
        let known = try incarnations(of: cluster, context)
        let label = try known.label(meantBy: word)
        let archive = try known.holding(label)
        if let missing = try archive.lacksSeal(label) { context.note(.warning, missing) }
        let backup = try archive.backup(label)
        return ShowReport(
            backup: backup, contents: try backupContents(backup.label, of: archive, limit: tables))
    }
}

/// A backup and its contents.
public struct ShowReport: Sendable {
    public let backup: BackupDescription
    public let contents: BackupContents
}

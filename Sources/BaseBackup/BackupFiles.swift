public import Repository
import SQLite

/// Whether a backup holds a file or directory.
///
/// - Parameter path: from the data directory, such as `postgresql.conf`.
/// - Throws: `ObjectDamaged`, `ObjectAbsent`, and what the store throws.
public func backupHolds(
    _ path: String, backup: String, of incarnation: Incarnation, in store: any ObjectStore
) throws -> Bool {
    let manifest = try ManifestReader(backup, of: incarnation, in: store)
    let rows = try manifest.database.prepare("SELECT 1 FROM file WHERE path = ?")
    try rows.bind(1, path)
    return try rows.step()
}

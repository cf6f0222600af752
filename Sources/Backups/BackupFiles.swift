import Platform
public import Repository
import SQLite
public import WAL

/// Whether a backup holds a file or directory.
///
/// - Parameter path: relative to the data directory, such as `postgresql.conf`.
/// - Throws: `ObjectDamaged`, `ObjectAbsent`, and what the store throws.
public func backupHolds(_ path: String, backup: String, of archive: ClusterArchive) throws -> Bool {
    let manifest = try ManifestReader(backup, of: archive)
    let rows = try manifest.database.prepare("SELECT 1 FROM file WHERE path = ?")
    try rows.bind(1, path)
    return try rows.step()
}

/// The transactions that were prepared and neither committed nor rolled back when a backup was taken, 1000 at most.
///
/// - Throws: `Problem` when a file can't be understood, `ObjectDamaged`, `ObjectAbsent`, and what the store throws.
public func preparedTransactions(of backup: String, of archive: ClusterArchive) throws -> [Prepare] {
    let manifest = try ManifestReader(backup, of: archive)
    let rows = try manifest.database.prepare(
        "SELECT path FROM file WHERE path GLOB 'pg_twophase/*' AND kind = 'f' ORDER BY path LIMIT 1000")
    var paths: [String] = []
    while try rows.step() { paths.append(rows.text(0)) }
    return try paths.compactMap { path in
        guard let bytes = try manifest.content(of: path, archive: archive) else { return nil }
        guard let transaction = Prepare(file: bytes, major: archive.incarnation.major) else {
            throw Problem("file \"\(path)\" of backup \"\(backup)\" cannot be understood")
        }
        return transaction
    }
}

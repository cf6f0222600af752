import Platform
public import WAL

/// The server's results at the end of a base backup.
public struct BackupModeEnd: Sendable {
    /// The backup is consistent once WAL up to here has been replayed.
    public let stop: LSN
    /// The content of the copy's `backup_label`, exactly as it must be written.
    public let labelFile: String
    /// The content of the copy's `tablespace_map`; empty when there is no tablespace.
    public let tablespaceMap: String
}

extension Connection {
    /// Puts the server into backup mode while this session lasts; several sessions may do so at once.
    ///
    /// `pg_start_backup(label, fast, exclusive := false)` up to 14, `pg_backup_start(label, fast)` since 15
    /// (<https://www.postgresql.org/docs/current/continuous-archiving.html>).
    ///
    /// - Parameter fast: ask for an immediate checkpoint instead of waiting for a spread one.
    /// - Returns: where the WAL begins that the backup needs.
    public func startBackup(label: String, fast: Bool) throws -> LSN {
        let sql =
            majorVersion >= 15
            ? "SELECT pg_backup_start($1, $2::boolean)" : "SELECT pg_start_backup($1, $2::boolean, false)"
        return try lsn(query(sql, [label, fast ? "true" : "false"]).scalar)
    }

    /// Ends backup mode. Doesn't wait for the archiver: the caller checks the repository, which is what counts.
    public func stopBackup() throws -> BackupModeEnd {
        let sql =
            majorVersion >= 15
            ? "SELECT lsn, labelfile, spcmapfile FROM pg_backup_stop(false)"
            : "SELECT lsn, labelfile, spcmapfile FROM pg_stop_backup(false, false)"
        let rows = try query(sql)
        guard let row = rows.values.first, row.count == 3 else {
            throw Problem("the server did not return the end of the backup")
        }
        return BackupModeEnd(stop: try lsn(row[0]), labelFile: row[1] ?? "", tablespaceMap: row[2] ?? "")
    }
}

import Platform
import Repository
import WAL

/// WAL on a standby that was copied with its base backup.
///
/// It is marked as archived there (`close_walfile` in src/bin/pg_basebackup/receivelog.c, `perform_base_backup` in
/// src/backend/backup/basebackup.c), or has no mark until the first restartpoint, so the standby's archiver doesn't
/// offer it, and an archive of the standby's own lacks it. The standby's backups begin in it until that restartpoint.
struct CopiedWAL {
    let archive: ClusterArchive
    let segmentSize: UInt32
    /// The data directory's `pg_wal`.
    let folder: String

    /// The files that are neither archived nor waiting for the archiver: timeline histories, and complete segments from
    /// the one that contains `start`.
    /// - Parameter replayed: the standby's replay position.
    func missing(from start: LSN, replayed: LSN) throws -> [ArchiveFileName] {
        let first = start.rawValue / UInt64(segmentSize)
        let next = replayed.rawValue / UInt64(segmentSize)
        return try Files.list(folder).sorted().compactMap { file in
            guard let name = ArchiveFileName(file), try !hasMark(".ready", file) else { return nil }
            switch name {
            case .history: break
            case .segment(let segment):
                let number = segment.number(segmentSize: segmentSize)
                guard number >= first else { return nil }
                guard try number < next || hasMark(".done", file) else { return nil }
            default: return nil
            }
            return try archive.has(name) ? nil : name
        }
    }

    private func hasMark(_ mark: String, _ file: String) throws -> Bool {
        try Files.exists("\(folder)/archive_status/\(file)\(mark)")
    }
}

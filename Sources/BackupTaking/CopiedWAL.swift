import Platform
import Repository
import WAL

/// WAL that came to a standby with the copy it was made from.
///
/// It is marked as archived there (`close_walfile` in src/bin/pg_basebackup/receivelog.c, `perform_base_backup` in
/// src/backend/backup/basebackup.c), so the standby's archiver never offers it, and an archive of the standby's own lacks it.
/// The standby's backups begin in it until its first restartpoint.
struct CopiedWAL {
    let archive: ClusterArchive
    let segmentSize: UInt32
    /// The data directory's `pg_wal`.
    let folder: String

    /// The names of what is marked as archived and is not: segments from the one that has `start`, and timelines' histories.
    func missing(from start: LSN) throws -> [ArchiveFileName] {
        let first = start.rawValue / UInt64(segmentSize)
        return try Files.list(folder + "/archive_status").sorted().compactMap { mark in
            guard mark.hasSuffix(".done"), let name = ArchiveFileName(String(mark.dropLast(5))),
                try Files.exists("\(folder)/\(name)")
            else { return nil }
            switch name {
            case .history: break
            case .segment(let segment) where segment.number(segmentSize: segmentSize) >= first: break
            default: return nil
            }
            return try archive.has(name) ? nil : name
        }
    }
}

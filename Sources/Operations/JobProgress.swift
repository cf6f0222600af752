public import Backups
public import Recovery

/// How far a job is.
public enum JobProgress: Sendable {
    /// A base backup waits for the server's checkpoint.
    case waitingForCheckpoint
    /// Files into a base backup.
    case copying(CopyProgress)
    /// A complete copy waits for the WAL that it needs; `behind` says in words where the server's archiver is.
    case waitingForWAL(file: String, behind: String)
    /// Files out of a base backup.
    case restoring(CopyProgress)
    /// WAL, by a server.
    case replaying(ReplayProgress)
    /// A table out of the temporary cluster, by its name, or into a file.
    case takingOut(String)
    /// A base backup in the repository.
    case verifying(backup: String, CopyProgress)
    /// Archived segments that were read, of all.
    case verifyingWAL(done: Int, total: Int)
    /// Segments read for the catalog, of all.
    case readingSegments(done: Int, total: Int)
    /// Files of another archive, of all.
    case importing(done: Int, total: Int)
}

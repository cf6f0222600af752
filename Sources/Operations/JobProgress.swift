public import Backups
public import Recovery

/// The progress of a job.
public enum JobProgress: Sendable {
    /// A base backup waits for the server's checkpoint.
    case waitingForCheckpoint
    /// Copies files into a base backup.
    case copying(CopyProgress)
    /// A complete copy waits for its WAL; `behind` describes in words how far the server's archiver is behind.
    case waitingForWAL(file: String, behind: String)
    /// Restores files of a base backup.
    case restoring(CopyProgress)
    /// A server replays WAL.
    case replaying(ReplayProgress)
    /// Copies a table from the temporary cluster, by its name, or into a file.
    case takingOut(String)
    /// Verifies a base backup in the repository.
    case verifying(backup: String, CopyProgress)
    /// Verifies archived segments.
    case verifyingWAL(done: Int, total: Int)
    /// Reads segments for the catalog.
    case readingSegments(done: Int, total: Int)
    /// Imports files of another archive.
    case importing(done: Int, total: Int)
}

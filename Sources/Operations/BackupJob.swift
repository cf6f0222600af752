import Archiving
public import BackupTaking
public import Backups
public import Configuration
import DataDirectory
import Platform
import Repository

/// Takes a base backup of a configured cluster.
public struct BackupJob {
    public var request: BackupRequest
    private let cluster: ClusterConfiguration
    private let context: JobContext

    /// Uses the configuration's settings; the caller may change the rest of the request.
    /// - Throws: an error about the setting `exclude`.
    public init(of cluster: ClusterConfiguration, by origin: JobOrigin, _ context: JobContext = JobContext()) throws {
        (self.cluster, self.context) = (cluster, context)
        request = BackupRequest(conninfo: cluster.conninfo, dataDirectory: cluster.dataDirectory, jobs: cluster.jobs)
        request.own = cluster.places.own
        request.exclude = try NamedExclusions(cluster.exclude)
        request.compressLevel = Int(cluster.backupCompressLevel)
        request.walTimeout = cluster.walWaitTimeout
        request.tidemarkVersion = origin.tidemarkVersion
    }

    /// - Returns: the complete backup; its `corruptPages` may not be empty.
    /// - Throws: `BackupInProgress`, `JobCancelled`, and as `takeBackup`.
    public func run() throws -> BackupDescription {
        let context = context
        context.notes.begin()
        // A backup would keep a recovery's settings, if the server couldn't run recovery_end_command.
        do { try RecoveryRecord.takeOut(of: DataDirectory(cluster.dataDirectory)) } catch {
            context.note(.warning, error)
        }
        let repository = cluster.openRepository()
        let push = Push(
            into: repository, cluster: cluster.name, dataDirectory: cluster.dataDirectory,
            level: Int(cluster.compressLevel), warn: { context.note(.warning, $0) })
        var request = request
        request.archive = { path in
            if try push(path) == .stored {
                context.note(
                    .log, "archived \"\(Files.name(path))\", which came with the copy that the standby was made from")
            }
        }
        let backup = try takeBackup(request, cluster: cluster.name, into: repository) { event in
            switch event {
            case .waitingForCheckpoint: context.progress(.waitingForCheckpoint)
            case .copying(let progress): context.progress(.copying(progress))
            case .waitingForWAL(let file, let behind): context.progress(.waitingForWAL(file: file, behind: behind))
            case .warning(let text): context.note(.warning, text)
            }
            try context.cancellation.check()
        }
        context.notes("label", backup.label)
        context.notes("size", backup.size)
        context.notes("stored_size", backup.storedSize)
        return backup
    }
}

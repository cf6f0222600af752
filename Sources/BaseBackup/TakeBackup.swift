import Platform
public import Repository

/// Takes a full base backup of a running server.
public func takeBackup(
    _ request: BackupRequest, cluster: String, into store: any ObjectStore,
    report: @escaping @Sendable (BackupEvent) -> Void = { _ in }
) throws -> BackupDescription {
    throw Problem("taking backups is not available in this build")
}

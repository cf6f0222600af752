import Platform
public import Repository

/// Restores the files of a complete backup: every frame verified, everything fsynced, `backup_label` and `tablespace_map`
/// in place, an empty `pg_wal`, and a `backup_manifest` for pg_verifybackup. Neither `recovery.signal` nor settings are
/// written: that is recovery's business.
///
/// - Parameter progress: called now and then, from any thread.
/// - Throws: `TargetInUse`, `ObjectDamaged`, `SystemError`.
public func restoreBackup(
    _ backup: BackupDescription, of incarnation: Incarnation, from store: any ObjectStore, request: RestoreRequest,
    progress: @escaping @Sendable (CopyProgress) -> Void = { _ in }
) throws -> RestoreReport {
    throw Problem("restoring is not available in this build")
}

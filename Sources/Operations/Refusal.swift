import Backups
public import Recovery
public import TableRecovery

/// An error that refuses a request. It leaves no job record, even after the job has begun.
public protocol Refusal: Error {}

extension NoSuchBackup: Refusal {}
extension AmbiguousLabel: Refusal {}
extension BackupInProgress: Refusal {}
extension RecoveryInProgress: Refusal {}
extension TableRefusal: Refusal {}

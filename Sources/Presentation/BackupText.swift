public import Backups
import Monitoring
import Platform
import WAL

/// The result of a backup.
public func backupText(_ backup: BackupDescription) -> String {
    """
    backup \(backup.label): \(size(backup.size)) in \(counted(backup.fileCount, "file")), \(size(backup.storedSize)) stored, \
    \(duration(backup.timings.total))
    It can be recovered to any moment from \(backup.stopTime) on.
    """
}

/// A page with a wrong checksum.
public func corruptPageText(_ page: CorruptPage) -> String {
    let relation = page.relation.map { " of \($0)" } ?? ""
    return "block \(page.block)\(relation) in file \"\(page.path)\" has a wrong checksum"
}

public import BaseBackup
import Monitoring
import WAL

/// What a backup has come to.
public func backupText(_ backup: BackupDescription) -> String {
    """
    backup \(backup.label): \(size(backup.size)) in \(backup.fileCount) files, \(size(backup.storedSize)) stored, \
    \(duration(backup.timings.total))
    It can be recovered to any moment from \(backup.stopTime) on.
    """
}

/// A page that a backup has found broken.
public func corruptPageText(_ page: CorruptPage) -> String {
    let relation = page.relation.map { " of \($0)" } ?? ""
    return "block \(page.block)\(relation) in file \"\(page.path)\" has a wrong checksum"
}

import Platform
public import Repository

/// What is wrong with a backup, as a look at its objects' sizes and at what its last verification found tell: the rest
/// of a sentence.
public func damage(of backup: BackupDescription, from archive: ClusterArchive) throws -> String? {
    if let visible = try visibleDamage(of: backup, from: archive) { return visible }
    guard let verified = try archive.standingVerification(of: backup.label) else { return nil }
    // Nobody knows what it found.
    if let fault = verified.fault { return "the record of its verification of \(verified.time) \(fault.verdict)" }
    return "its verification of \(verified.time) found \(verified.problems) problem"
        + (verified.problems == 1 ? "" : "s")
}

/// What is wrong according to its objects' sizes: the rest of a sentence; nil when nothing is missing.
public func visibleDamage(of backup: BackupDescription, from archive: ClusterArchive) throws -> String? {
    let manifest = try archive.store.size(of: archive.incarnation.backup(backup.label, Manifest.objectName)) ?? 0
    var missing = max(0, backup.storedSize - manifest - (try archive.size(ofPacks: backup.label) { _ in true }))
    for packs in backup.packs where packs.label != backup.label {
        missing += max(0, packs.size - (try archive.size(ofPacks: packs.label, where: packs.contains)))
    }
    return missing > 0 ? "\(missing) bytes of what was stored are missing from the repository" : nil
}

extension ClusterArchive {
    /// Total size in bytes of the wanted packs under a label.
    fileprivate func size(ofPacks label: String, where isWanted: (Int) -> Bool) throws -> Int64 {
        let folder = incarnation.packFolder(label)
        return try store.list(folder).reduce(0) { sum, entry in
            guard !entry.isFolder, let name = PackName(entry.name), isWanted(name.number) else { return sum }
            // The pack lies behind a link that leads nowhere.
            guard let size = entry.size else {
                throw Problem("could not look at object \"\(folder.appending(entry.name))\"")
            }
            return sum + size
        }
    }
}

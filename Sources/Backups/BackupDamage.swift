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

/// What is wrong according to its objects' sizes: the rest of a sentence; nil when each is there as it was stored.
public func visibleDamage(of backup: BackupDescription, from archive: ClusterArchive) throws -> String? {
    let manifest = try archive.store.size(of: archive.incarnation.backup(backup.label, Manifest.objectName)) ?? 0
    let own = try archive.packSizes(of: backup.label)
    var missing = max(0, backup.storedSize - manifest - own.values.joined().reduce(0, +))
    var faults = 0
    for packs in backup.packs {
        let present = packs.label == backup.label ? own : try archive.packSizes(of: packs.label)
        faults += packs.faults(among: present)
        if packs.label != backup.label {
            missing += max(0, packs.size - packs.bytes(among: present))
        }
    }
    if missing > 0 { return "\(missing) bytes of what was stored are missing from the repository" }
    guard faults > 0 else { return nil }
    return "\(faults) of its packs \(faults == 1 ? "is" : "are") missing from the repository, or of another size"
}

extension ClusterArchive {
    /// The sizes in bytes of the packs under a label, by their numbers.
    fileprivate func packSizes(of label: String) throws -> [Int: [Int64]] {
        let folder = incarnation.packFolder(label)
        var sizes: [Int: [Int64]] = [:]
        for entry in try store.list(folder) {
            guard !entry.isFolder, let name = PackName(entry.name) else { continue }
            // The pack lies behind a link that leads nowhere.
            guard let size = entry.size else {
                throw Problem("could not look at object \"\(folder.appending(entry.name))\"")
            }
            sizes[name.number, default: []].append(size)
        }
        return sizes
    }
}

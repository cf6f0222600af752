import Platform
import Repository

/// The object beside `backup.json` that has its digest: so a `backup.json` that is missing or replaced is noticed. A
/// backup that died has neither; one that is being removed loses the seal first.
public enum BackupSeal {
    public static let objectName = "backup.json.xxh128"

    /// One line as `xxhsum -H2` prints it.
    public static func text(of description: [UInt8]) -> [UInt8] {
        Array("\(Digest(of: description))  backup.json\n".utf8)
    }

    /// The bytes of a backup's `backup.json`, nil when there is none; and why they aren't what was written, nil when
    /// they are, or when there is no seal: the backup died between the two, or is being removed.
    static func read(
        _ label: String, of archive: ClusterArchive
    ) throws -> (description: [UInt8]?, objection: DamagedDescription?) {
        let (store, incarnation) = (archive.store, archive.incarnation)
        let (key, sealKey) = (incarnation.backupDescription(label), incarnation.backup(label, objectName))
        var description = try store.readIfPresent(key)
        guard let seal = try store.readIfPresent(sealKey) else { return (description, nil) }
        // The seal is written last and removed first: a backup may have been completed, or removed, between two reads.
        if description == nil { description = try store.readIfPresent(key) }
        guard let description else {
            let isGone = try store.exists(sealKey)
            return (
                nil, isGone ? DamagedDescription(label: label, reason: "It is missing; the backup was complete.") : nil
            )
        }
        return (
            description,
            seal == text(of: description)
                ? nil
                : DamagedDescription(
                    label: label, reason: "It is intact, but not the one that \(objectName) next to it was written for."
                )
        )
    }
}

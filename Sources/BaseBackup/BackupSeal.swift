import Platform
import Repository

/// The object beside a backup's `backup.json` that says which one was written: so one that is gone is noticed, and another in
/// its place. A backup that died has neither; one that is removed loses the seal first.
enum BackupSeal {
    static let objectName = "backup.json.xxh128"

    /// One line as `xxhsum -H2` prints it.
    static func text(of description: [UInt8]) -> [UInt8] { Array("\(Digest(of: description))  backup.json\n".utf8) }

    /// Why the `backup.json` in the repository isn't the one that was written; nil when it is, or when there is
    /// no seal: the backup died between the two, or is being removed.
    static func objection(
        to description: [UInt8]?, label: String, of archive: ClusterArchive
    ) throws -> DamagedDescription? {
        guard let seal = try archive.store.readIfPresent(archive.incarnation.backup(label, objectName)) else {
            return nil
        }
        guard let description else {
            return DamagedDescription(label: label, reason: "It is gone; the backup was complete.")
        }
        return seal == text(of: description)
            ? nil
            : DamagedDescription(
                label: label, reason: "It is whole, but not the one that \(objectName) beside it was written for.")
    }
}

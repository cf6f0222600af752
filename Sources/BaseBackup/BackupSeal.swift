import Platform
import Repository

/// The object beside a backup's `backup.json` that says what is in it: so a changed one is noticed, and one that is gone. A
/// backup that died has neither; one that is removed loses the seal first.
enum BackupSeal {
    static let objectName = "backup.json.xxh128"

    /// One line as `xxhsum -H2` prints it.
    static func text(of description: [UInt8]) -> [UInt8] { Array("\(Digest(of: description))  backup.json\n".utf8) }

    /// Why the `backup.json` in the repository isn't the one that was written; nil when it is, or when the backup was made
    /// before there were seals.
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
            ? nil : DamagedDescription(label: label, reason: "It is not what the backup wrote.")
    }
}

public import Platform
import Repository

/// The object beside `backup.json` that has its digest: so a `backup.json` that is missing or replaced is noticed. A
/// backup that died has neither; one that is being removed loses the seal first.
public enum BackupSeal {
    public static let objectName = "backup.json.xxh128"

    /// One line as `xxhsum -H2` prints it.
    public static func text(of description: [UInt8]) -> [UInt8] {
        Array("\(Digest(of: description))  backup.json\n".utf8)
    }

    /// A backup's `backup.json` as it is read, and what protects it.
    struct Sealed {
        /// The bytes of `backup.json`; nil when there is none.
        var description: [UInt8]?
        /// Why they aren't what was written.
        var objection: DamagedDescription?
        /// Why nothing tells a replaced `backup.json` from the one that was written: the backup died between the two,
        /// is being removed, or the seal was lost.
        var missing: UnsealedBackup?
    }

    static func read(_ label: String, of archive: ClusterArchive) throws -> Sealed {
        let (store, incarnation) = (archive.store, archive.incarnation)
        let (key, sealKey) = (incarnation.backupDescription(label), incarnation.backup(label, objectName))
        var description = try store.readIfPresent(key)
        guard let seal = try store.readIfPresent(sealKey) else {
            let missing = UnsealedBackup(label: label, seal: sealKey, isDamaged: false)
            return Sealed(description: description, missing: description == nil ? nil : missing)
        }
        // The seal is written last and removed first: a backup may have been completed, or removed, between two reads.
        if description == nil { description = try store.readIfPresent(key) }
        guard let description else {
            let isGone = try store.exists(sealKey)
            return Sealed(
                objection: isGone
                    ? DamagedDescription(label: label, reason: "It is missing; the backup was complete.") : nil)
        }
        // What isn't a seal at all says nothing about the other object, which has a checksum of its own.
        guard isSeal(seal) else {
            return Sealed(
                description: description, missing: UnsealedBackup(label: label, seal: sealKey, isDamaged: true))
        }
        return Sealed(
            description: description,
            objection: seal == text(of: description)
                ? nil
                : DamagedDescription(
                    label: label, reason: "It is intact, but not the one that \(objectName) next to it was written for."
                ))
    }

    private static func isSeal(_ bytes: [UInt8]) -> Bool {
        let digits = Array("0123456789abcdef".utf8)
        let rest = Array("  backup.json\n".utf8)
        return bytes.count == 32 + rest.count && bytes.prefix(32).allSatisfy(digits.contains)
            && Array(bytes.suffix(rest.count)) == rest
    }
}

/// A complete backup without an intact seal: it can be used, but that its `backup.json` is the one that was written is
/// no longer known.
public struct UnsealedBackup: Explained, Equatable {
    public let label: String
    let seal: RepositoryKey
    /// Whether the seal is there, and isn't one.
    let isDamaged: Bool
    public var message: String { "\"\(seal)\" is \(isDamaged ? "damaged" : "missing")" }
    public var detail: String? {
        "It is the checksum of backup.json next to it. The backup can be used, but nothing would show that its backup.json "
            + "was replaced."
    }
    public var hint: String? {
        "Restore it from a copy of the repository. Or verify the backup and, if nothing else is wrong with it, write the "
            + "checksum anew in its folder with \"xxhsum -H2 backup.json >backup.json.xxh128\"."
    }
}

import Platform
import Repository
import WAL

extension Push {
    /// Timeline history files and backup history files: small texts without a header that names their cluster.
    func pushText(_ local: LocalFile, _ name: ArchiveFileName) throws -> Outcome {
        let bytes = try local.bytes(limit: 1 << 20)
        try checkText(bytes, name)
        let incarnation = try identity.incarnation()
        let key = incarnation.key(for: name)
        if let outcome = try confirmText(local, bytes, key, name) { return outcome }
        do { try store.createFile(key, bytes: bytes) } catch is ObjectExists {
            guard let outcome = try confirmText(local, bytes, key, name) else {
                throw ObjectExists(key: key, location: store.location)
            }
            return outcome
        }
        clock.mark(.sync)
        return .stored
    }
}

/// Refuses a text that isn't what its name says.
func checkText(_ bytes: [UInt8], _ name: ArchiveFileName) throws {
    let text = String(decoding: bytes, as: UTF8.self)
    switch name {
    case .history(let timeline): _ = try TimelineHistory(timeline: timeline, file: text)
    case .backupHistory(let segment, _):
        // src/backend/access/transam/xlogbackup.c: the first line ends with the name of the segment the backup starts in.
        let first = text.prefix { $0 != "\n" }
        guard first.hasPrefix("START WAL LOCATION: "), first.hasSuffix("(file \(segment))") else {
            throw Problem(
                "\"\(name.description)\" is not a backup history file",
                detail: "It starts with \"\(first.prefix(80))\".")
        }
    case .segment, .partial: break
    }
}

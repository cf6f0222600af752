import DataDirectory
import Platform
import Repository
import WAL

extension Push {
    /// Timeline history files and backup history files: small texts without a header that names their cluster.
    func pushText(_ local: LocalFile, _ name: ArchiveFileName) throws -> Outcome {
        let bytes = try local.bytes(limit: 1 << 20)
        do { try checkText(bytes, name) } catch let damage as BadTimelineHistory {
            throw try ownHistory(local, damage) ?? damage
        }
        let archive = try ownArchive()
        let incarnation = archive.incarnation
        guard case .history(let timeline) = name else { return try pushBackupHistory(local, bytes, name, archive) }
        // Another process may be faster.
        for attempt in 1...Push.attempts {
            do {
                switch try destination(local, bytes, timeline, incarnation) {
                case .confirmed: return .confirmed
                case .create(let key, let note):
                    try requireWAL(archive)
                    try store.createFile(key, bytes: bytes)
                    if let note { warn(note) }
                case .replace(let key, _):
                    try replaceDamaged(key, name, incarnation) {
                        try store.createFile(key, replacing: $0, bytes: bytes)
                    }
                }
                clock.mark(.sync)
                return .stored
            } catch is ObjectExists {} catch is BeingReplaced where attempt < Push.attempts {
                Clock.sleep(milliseconds: 250)
            }
        }
        throw ObjectExists(key: incarnation.history(timeline), location: store.location)
    }

    /// The same of a file in a server's pg_wal, where something can be done about it; nil elsewhere.
    private func ownHistory(_ local: LocalFile, _ damage: BadTimelineHistory) throws -> DamagedOwnHistory? {
        let folder = Files.resolvedAsFarAsPossible(Files.parent(local.path))
        // pg_wal may be a symbolic link.
        let directories = [Files.parent(folder), identity.dataDirectory].compactMap { $0 }
        guard
            let directory = try directories.first(where: {
                try Files.exists($0 + "/" + ControlFile.path) && Files.isSamePlace($0 + "/pg_wal", folder)
            })
        else { return nil }
        return try DamagedOwnHistory(damage.timeline, in: DataDirectory(directory), of: ownArchive())
    }

    /// Recovery reads no backup history file, so another one of the same name doesn't stop the archiver: it is stored
    /// beside the first. One of a timeline that was put aside goes there, lest the timeline seem to exist again.
    private func pushBackupHistory(
        _ local: LocalFile, _ bytes: [UInt8], _ name: ArchiveFileName, _ archive: ClusterArchive
    ) throws -> Outcome {
        let incarnation = archive.incarnation
        let digest = Digest(of: bytes)
        var number = 1
        var attempt = 1
        let aside = try name.place.flatMap { try asideFolder(for: $0, beside: local, archive) }
        while true {
            let place = incarnation.key(for: name, copy: number)
            let key = aside.map { AsideStore.place(place, incarnation, in: $0.folder.key) } ?? place
            do {
                let object = try store.open(key, bringing: SegmentHead.usualLength)
                if try StoredSegment(object).head.digest == digest {
                    if try damage(of: object, name) == nil {
                        try store.makeDurable(key)
                        return .confirmed
                    }
                    guard aside == nil else { throw ObjectDamaged(key: key, "Its content can't be read.") }
                    try replaceDamaged(key, name, incarnation) {
                        try store.createFile(key, replacing: $0, bytes: bytes)
                    }
                    clock.mark(.sync)
                    return .stored
                }
                number += 1
            } catch is ObjectExists { continue } catch is BeingReplaced where attempt < Push.attempts {
                attempt += 1
                Clock.sleep(milliseconds: 250)
            } catch is ObjectDamaged {
                number += 1
            } catch is ObjectAbsent {
                try requireWAL(archive)
                // Another process may have been faster; then its object is compared.
                do { try store.createFile(key, bytes: bytes) } catch is ObjectExists { continue }
                if number > 1 { warn(BackupHistoriesDiffer(file: name.description, key: key)) }
                if let aside, let timeline = name.place?.timeline {
                    warn(
                        StoredAside(
                            file: name.description, timeline: timeline, key: key, isThere: false,
                            isElsewhere: aside.isElsewhere))
                }
                clock.mark(.sync)
                return .stored
            }
        }
    }
}

/// Refuses a text that isn't what its name says.
func checkText(_ bytes: [UInt8], _ name: ArchiveFileName) throws {
    let text = String(decoding: bytes, as: UTF8.self)
    switch name {
    case .history(let timeline): _ = try TimelineHistory(timeline: timeline, file: text)
    case .backupHistory(let segment, _):
        // src/backend/access/transam/xlogbackup.c: the first line ends with the name of the segment the backup starts
        // in.
        let first = text.prefix { $0 != "\n" }
        guard first.hasPrefix("START WAL LOCATION: "), first.hasSuffix("(file \(segment))") else {
            throw Problem(
                "\"\(name.description)\" is not a backup history file",
                detail: "It starts with \"\(first.prefix(80))\".")
        }
    case .segment, .partial: break
    }
}

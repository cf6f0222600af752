import Documents
public import Platform
public import Repository
public import WAL

/// The WAL that is put aside now, and which backups were complete before that. WAL that was put back is not included.
struct AsideWAL {
    private struct Object {
        let file: ArchiveFileName
        let key: RepositoryKey
        let folder: AsideFolder
        /// The labels of the backups complete before; nil when the record can't be read.
        let backups: Set<String>?
    }
    private var objects: [Object] = []
    /// Folders that can't be listed.
    private(set) var unlisted: [UnlistedAside] = []
    private let archive: ClusterArchive

    private struct Record: Decodable {
        let backups: [String]
    }

    init(of archive: ClusterArchive) throws {
        self.archive = archive
        let aside = archive.incarnation.asideFolder
        for folder in try list(aside, { try archive.asideFolders() }) {
            // The record covers WAL that a server archives to the folder later.
            let backups = try AsideWAL.record(of: folder, in: archive.store).map { Set($0.backups) }
            objects += try list(folder.key, { try archive.objects(of: folder) }).map {
                Object(file: $0.file, key: $0.key, folder: folder, backups: backups)
            }
        }
    }

    /// The items in a folder; none if it can't be listed, so that the other folders are still used.
    private mutating func list<Item>(_ folder: RepositoryKey, _ items: () throws -> [Item]) throws -> [Item] {
        do { return try items() } catch let failure as any Explained where failure.concernsOneObject {
            unlisted.append(UnlistedAside(folder: folder, reason: failure.message))
            return []
        }
    }

    /// The first file that was put aside after the backup had been taken, of the WAL that makes it consistent and the
    /// timeline's history. An archived file of that name is another server's now, and the backup belongs to the branch
    /// that was put aside. A backup that was still waiting for its WAL at that time has got it from the right server.
    func taken(from backup: BackupDescription) throws -> AsideBackup? {
        let (last, size) = (backup.stopSegment, backup.segmentSize)
        // Another timeline's file of the last segment matters unless its own is there as well.
        let others: Set<TimelineID> =
            try last.timeline == backup.timeline || archive.has(.segment(last.on(backup.timeline)))
            ? [] : [last.timeline]
        let first = try objects.filter { object in
            guard isOlder(backup, than: object) else { return false }
            switch object.file {
            case .history(let timeline): return timeline == backup.timeline || others.contains(timeline)
            case .segment(let name):
                return name.timeline == backup.timeline && backup.startSegment <= name
                    && name.number(segmentSize: size) <= last.number(segmentSize: size)
                    || name == last && others.contains(name.timeline)
            case .partial, .backupHistory: return false
            }
        }.filter { try !isThereAgain($0) }.min { $0.file.description < $1.file.description }
        guard let first else { return nil }
        let isReplaced = try objects.contains { object in
            try object.folder == first.folder && archive.has(object.file) && !isThereAgain(object)
        }
        return AsideBackup(
            backup: backup, file: first.file, subject: first.folder.subject, isReplaced: isReplaced)
    }

    /// Whether the backup was complete when an object was put aside, according to the record, since the clock may have
    /// been set; only if the record can't be read are the times compared.
    private func isOlder(_ backup: BackupDescription, than object: Object) -> Bool {
        if let backups = object.backups { return backups.contains(backup.label) }
        let whole = Int64(max(0, backup.timings.total) * 1_000_000)
        return object.folder.time.microseconds
            > max(backup.stopTime.microseconds, backup.startTime.microseconds + whole)
    }

    /// Whether the archive has the same content under that name: the server archived it again.
    private func isThereAgain(_ object: Object) throws -> Bool {
        func digest(_ key: RepositoryKey) throws -> Digest? {
            do {
                return try StoredSegment(key, in: archive.store).head.digest
            } catch let failure as any Explained where failure.concernsOneObject { return nil }
        }
        guard let digest = try digest(object.key) else { return false }
        do {
            return try archive.readableCopies(of: object.file).copies.contains { $0.head.digest == digest }
        } catch let failure as any Explained where failure.concernsOneObject { return false }
    }

    /// Nil when there is no readable one.
    private static func record(of folder: AsideFolder, in store: any ObjectStore) throws -> Record? {
        do {
            return try store.document(.aside, at: folder.key.appending("record.json"))?.value(Record.self)
        } catch is DocumentRefused { return nil } catch is DocumentFault {
            return nil
        } catch let failure as any Explained where failure.concernsOneObject { return nil }
    }
}

/// A backup on a branch of the WAL that was put aside, and the file that shows it.
public struct AsideBackup: Sendable {
    public let backup: BackupDescription
    public let file: ArchiveFileName
    /// The name under which that file was put aside.
    public let subject: String
    /// Whether other WAL has been archived in its place since, so that it can't be put back.
    public let isReplaced: Bool

    /// What is wrong with it, as the rest of a sentence.
    public var damage: String { "its branch was put aside" }
    /// How it can be used again, or removed, as a sentence.
    public var remedy: String {
        isReplaced
            ? "Other WAL has been archived in its place; to remove the backup: "
                + "\(runnable("tidemark remove \(backup.label)"))."
            : "If that was a mistake: \(runnable("tidemark segments put-back \(subject)"))."
    }
    /// Both, with the backup's name.
    public var sentence: String { "Backup \"\(backup.label)\" is left out: \(damage). \(remedy)" }
    public var problem: BackupProblem {
        BackupProblem(
            "backup \"\(backup.label)\" cannot be used: \(damage)",
            detail: "Its own \"\(file)\" was put aside after it was taken."
                + (isReplaced
                    ? " What the archive has since is another server's WAL, which does not fit the backup." : ""),
            trace: .listing)
    }
}

/// A folder of WAL that was put aside and can't be listed: it may have some of a backup's own WAL.
public struct UnlistedAside: Explained, Equatable {
    public let folder: RepositoryKey
    public let reason: String
    public var message: String { "cannot tell which WAL was put aside in \"\(folder)\"" }
    public var detail: String? { "\(reason)." }
    /// Both in one sentence, without a full stop.
    public var sentence: String { "It is not known which WAL was put aside in \"\(folder)\": \(reason)" }
    public var hint: String? {
        "Make it readable. Until then every backup counts as one whose branch was not put aside, and nothing is removed."
    }
}

/// The usable backups of an incarnation, and those whose branch was put aside since, as far as that can be read.
public func withoutAside(
    _ backups: [BackupDescription], of archive: ClusterArchive
) throws -> (usable: [BackupDescription], aside: [AsideBackup], unlisted: [UnlistedAside]) {
    let wal = try AsideWAL(of: archive)
    var (usable, aside): ([BackupDescription], [AsideBackup]) = ([], [])
    for backup in backups {
        if let found = try wal.taken(from: backup) { aside.append(found) } else { usable.append(backup) }
    }
    return (usable, aside, wal.unlisted)
}

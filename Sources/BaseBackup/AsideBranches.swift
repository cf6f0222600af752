import Documents
import Platform
public import Repository
public import WAL

/// The WAL that is put aside at this moment, and which backups there were when each object of it was. What has been put back
/// isn't among it.
struct AsideWAL {
    private struct Object {
        let file: ArchiveFileName
        let key: RepositoryKey
        let time: Moment
        /// Labels of the backups that were complete then; nil where older versions have not recorded them.
        let backups: Set<String>?
    }
    private var objects: [Object] = []
    private let archive: ClusterArchive

    private struct Record: Decodable {
        let at: String
        let objects: [String]
        let backups: [String]?
    }

    init(of archive: ClusterArchive) throws {
        self.archive = archive
        for entry in try archive.store.list(archive.incarnation.asideFolder) where entry.isFolder {
            let folder = archive.incarnation.asideFolder.appending(entry.name)
            // Objects whose record can't be read were moved when the folder got its name.
            let named = Moment(compact: entry.name.prefix(15) + "Z")
            var times: [String: Moment] = [:]
            var backups: Set<String>?
            for record in try archive.store.list(folder) where !record.isFolder && record.name.hasSuffix(".json") {
                guard let content = try AsideWAL.record(folder.appending(record.name), in: archive.store),
                    let time = Moment(iso8601: content.at)
                else { continue }
                for object in content.objects { times[object] = max(time, times[object] ?? time) }
                if let labels = content.backups { backups = (backups ?? []).union(labels) }
            }
            func add(_ key: RepositoryKey) {
                let path = String(key.description.dropFirst(folder.description.count + 1))
                guard let (file, _) = ArchiveFileName.object(key.name), let time = times[path] ?? named else { return }
                objects.append(Object(file: file, key: key, time: time, backups: backups))
            }
            let wal = folder.appending("wal")
            for timeline in try archive.store.list(wal) {
                let key = wal.appending(timeline.name)
                guard timeline.isFolder else {
                    add(key)
                    continue
                }
                for log in try archive.store.list(key) where log.isFolder {
                    for object in try archive.store.list(key.appending(log.name)) {
                        add(key.appending(log.name).appending(object.name))
                    }
                }
            }
        }
    }

    /// What of the WAL that makes a backup consistent, its timeline's history included, was put aside after the backup had
    /// been taken: the first of it. Whatever is archived under these names since is another server's, and the backup is of
    /// the branch that was put aside. One that was still waiting for its WAL then got it from the right server.
    ///
    /// Where nobody recorded which backups there were, the clocks tell: of whoever put aside, and of the server.
    func taken(from backup: BackupDescription) throws -> ArchiveFileName? {
        let whole = Int64(max(0, backup.timings.total) * 1_000_000)
        let finished = max(backup.stopTime.microseconds, backup.startTime.microseconds + whole)
        return try objects.filter { object in
            guard object.backups?.contains(backup.label) ?? (object.time.microseconds > finished) else { return false }
            switch object.file {
            case .history(let timeline): return timeline == backup.timeline
            case .segment(let name):
                return name.timeline == backup.timeline && backup.startSegment <= name && name <= backup.stopSegment
            case .partial, .backupHistory: return false
            }
        }.filter { try !isThereAgain($0) }.map(\.file).min { $0.description < $1.description }
    }

    /// Whether the archive has the same content under that name: its server archived it once more.
    private func isThereAgain(_ object: Object) throws -> Bool {
        func digest(_ key: RepositoryKey) throws -> Digest? {
            do { return try SegmentHead(of: archive.store.open(key)).digest } catch is ObjectAbsent {
                return nil
            } catch is ObjectDamaged { return nil }
        }
        guard let digest = try digest(object.key) else { return false }
        do {
            return try archive.copies(of: object.file).contains { $0.head.digest == digest }
        } catch is ObjectDamaged { return false }
    }

    /// Nil when there is none that can be read.
    private static func record(_ key: RepositoryKey, in store: any ObjectStore) throws -> Record? {
        do { return try store.document(.aside, at: key)?.value(Record.self) } catch is DocumentRefused {
            return nil
        } catch is DocumentFault { return nil }
    }
}

/// A backup of a branch of the log that was put aside, and with which file.
public struct AsideBackup: Sendable {
    public let backup: BackupDescription
    public let file: ArchiveFileName

    /// What is wrong with it, as the rest of a sentence.
    public var damage: String { "its branch was put aside" }
    public var problem: BackupProblem {
        BackupProblem(
            "backup \"\(backup.label)\" cannot be used: \(damage)",
            detail: "Its own \"\(file)\" was put aside after it was taken. What the archive has since is another "
                + "server's log, which does not fit the backup.")
    }
}

/// The backups of an incarnation, told apart by whether their branch was put aside since.
public func withoutAside(
    _ backups: [BackupDescription], of archive: ClusterArchive
) throws -> (usable: [BackupDescription], aside: [AsideBackup]) {
    let wal = try AsideWAL(of: archive)
    var (usable, aside): ([BackupDescription], [AsideBackup]) = ([], [])
    for backup in backups {
        if let file = try wal.taken(from: backup) {
            aside.append(AsideBackup(backup: backup, file: file))
        } else {
            usable.append(backup)
        }
    }
    return (usable, aside)
}

extension Moment {
    /// Reads `20261105T020000Z`.
    init?(compact text: some StringProtocol) {
        let digits = Array(text)
        guard digits.count == 16 else { return nil }
        func part(_ range: Range<Int>) -> String { String(digits[range]) }
        self.init(
            iso8601: "\(part(0..<4))-\(part(4..<6))-\(part(6..<8))T\(part(9..<11)):\(part(11..<13)):\(part(13..<15))Z")
    }
}

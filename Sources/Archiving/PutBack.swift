import DataDirectory
public import Platform
public import Repository
import WAL

/// Returns objects that were put aside to their places: those of the newest folder of that name that fits the WAL
/// around it. Nothing is overwritten, and the record stays.
public struct PutBack: Sendable {
    public let subject: PutAside.Subject
    /// The folder they are in.
    public let folder: RepositoryKey
    /// What will move, in order.
    public let objects: [AsideObject]
    /// What stays, because a file of the same name has been archived since.
    public let staying: [AsideObject]
    private let archive: ClusterArchive
    private let dataDirectory: String?
    private let isCertain: Bool

    /// Finds what is to move.
    ///
    /// - Parameters:
    ///   - dataDirectory: a server's, whose pg_wal shows which of several servers' files are its own.
    ///   - isCertain: the user answers for it that the objects belong there although they don't fit the WAL around
    ///     them.
    public init(
        _ subject: PutAside.Subject, of archive: ClusterArchive, dataDirectory: String? = nil, isCertain: Bool = false
    ) throws {
        let store = archive.store
        (self.subject, self.archive) = (subject, archive)
        (self.dataDirectory, self.isCertain) = (dataDirectory, isCertain)
        // A folder that can't be listed stops only a call that names it.
        let folders = try archive.asideFolders().map { folder in
            let isNamed = folder.subject == subject.name
            return (folder, try isNamed ? archive.objects(of: folder) : archive.readableObjects(of: folder) ?? [])
        }.filter { !$0.1.isEmpty }
        let own = folders.filter { $0.0.subject == subject.name }
        guard let newest = own.first else {
            let empty = try archive.asideFolders().filter { $0.subject == subject.name }
            throw NothingToPutBack(
                name: subject.name, others: folders.map(\.0.subject), emptied: empty.first?.key.description)
        }
        func staying(_ all: [AsideObject]) throws -> [AsideObject] {
            try all.filter { try store.exists($0.place) || store.exists(archive.key(for: $0.file)) }
        }
        // If all of the newest folder stays, an older one may be brought back. Of several servers' files only those
        // return that fit the WAL around them.
        let free = try own.filter { try !store.contradicts($0.1) && staying($0.1).count < $0.1.count }
        var other: OtherHistory?
        let belonging = try free.first { folder, objects in
            guard let reason = try archive.contradiction(objects, in: folder, dataDirectory) else { return true }
            other = other ?? OtherHistory(name: subject.name, folder: folder.key.description, reason: reason)
            return false
        }
        if belonging == nil, !isCertain, let other { throw other }
        let (folder, all) = belonging ?? free.first ?? newest
        guard try !store.contradicts(all) else {
            throw PlaceTaken(name: subject.name, folder: folder.key.description)
        }
        self.folder = folder.key
        let staying = try staying(all)
        self.staying = staying
        // Histories last, and further copies before the first: if it is killed in between, a second call moves the
        // rest.
        let moving = all.filter { !staying.contains($0) }
        objects =
            moving.filter { $0.copy > 1 } + moving.filter { $0.copy == 1 && $0.file.place != nil }
            + moving.filter { $0.copy == 1 && $0.file.place == nil }
    }

    /// Checks again that the objects are the ones that were found, since a person may have been asked in between, and
    /// moves them. Killed at any moment, it leaves every object under one of its keys, and a second call moves the
    /// rest.
    /// - Throws: `AsideInProgress`; `AsideChanged` when other objects are there now; what the store throws.
    public func carryOut() throws {
        let lock = try AsideLock(archive)
        defer { withExtendedLifetime(lock) {} }
        let again: PutBack
        do {
            again = try PutBack(subject, of: archive, dataDirectory: dataDirectory, isCertain: isCertain)
        } catch is NothingToPutBack { throw AsideChanged(name: subject.name) }
        guard again.objects == objects, again.staying == staying else { throw AsideChanged(name: subject.name) }
        let store = archive.store
        for object in objects {
            try lock.confirm()
            do { try store.move(object.key, to: object.place) } catch is ObjectAbsent { continue }
        }
        let removal = store.removal()
        for folder in Set(objects.map(\.key.folder)) {
            removal.removeIfEmpty(folder)
            removal.removeIfEmpty(folder.folder)
        }
    }
}

extension ClusterArchive {
    /// Why the objects belong to another history than the WAL around them, as a sentence: a segment doesn't continue
    /// its neighbour, or a server has other files under the same names. Nil when nothing that can be read says so.
    fileprivate func contradiction(
        _ objects: [AsideObject], in folder: AsideFolder, _ dataDirectory: String?
    ) throws -> String? {
        func serverHasAnother(_ file: ArchiveFileName, _ directory: String) -> String {
            "The server in \"\(directory)\" has another \"\(file)\" in its pg_wal."
        }
        for object in objects {
            if case .history(let timeline) = object.file, let dataDirectory,
                let own = try? TimelineHistory(timeline, inWAL: dataDirectory + "/pg_wal"),
                try history(timeline, in: folder)?.isSame(as: own) == false
            {
                return serverHasAnother(object.file, dataDirectory)
            }
            guard case .segment(let name) = object.file else { continue }
            var stored: StoredSegment?
            let aside = try neighbour {
                stored = try StoredSegment(object.key, in: store)
                return try stored?.summary()
            }
            guard let stored, let aside else { continue }
            if let dataDirectory, name.isWhole(in: dataDirectory, segmentSize: aside.segmentSize),
                (try? isContradicted("\(dataDirectory)/pg_wal/\(name)", name, by: [stored], self)) == true
            {
                return serverHasAnother(object.file, dataDirectory)
            }
            if let previous = name.previous(segmentSize: aside.segmentSize),
                let archived = try neighbour({ try summary(of: previous) }),
                case .broken = Continuity.join(archived, aside)
            {
                return "It does not continue segment \"\(previous)\", which is archived."
            }
            let next = name.next(segmentSize: aside.segmentSize)
            if let archived = try neighbour({ try summary(of: next) }),
                case .broken = Continuity.join(aside, archived)
            {
                return "Segment \"\(next)\", which is archived, does not continue it."
            }
        }
        return nil
    }

    /// Nil also for a segment that is absent, or can't be read.
    private func neighbour(_ summary: () throws -> SegmentSummary?) throws -> SegmentSummary? {
        do { return try summary() } catch is ObjectAbsent { return nil } catch is ObjectDamaged {
            return nil
        } catch is BadSummary { return nil }
    }
}

/// Nothing of that name was put aside, or all of it was put back.
public struct NothingToPutBack: Explained, Equatable {
    public let name: String
    /// What was put aside, newest first.
    public let others: [String]
    /// A folder of that name in which there is nothing but its record.
    public let emptied: String?
    public var message: String {
        emptied == nil ? "nothing was put aside as \"\(name)\"" : "nothing is left of what was put aside as \"\(name)\""
    }
    public var detail: String? {
        emptied.map {
            "\"\($0)\" has only its record: it was put back, or the command was interrupted before it moved anything."
        }
    }
    public var hint: String? {
        others.isEmpty
            ? "Nothing is put aside." : "These were put aside: \(Set(others).sorted().joined(separator: ", "))."
    }
}

/// The places of the objects belong to another history now.
public struct PlaceTaken: Explained, Equatable {
    public let name: String
    public let folder: String
    public var message: String { "cannot put \"\(name)\" back: other WAL has been archived in its place" }
    public var detail: String? { "It stays in \(folder)." }
    public var hint: String? { "If that other WAL doesn't belong to the cluster's history, put it aside first." }
}

/// The objects don't fit the WAL around them.
public struct OtherHistory: Explained, Equatable {
    public let name: String
    public let folder: String
    /// The contradiction, as a sentence.
    public let reason: String
    public var message: String { "cannot put \"\(name)\" back: it belongs to another history" }
    public var detail: String? { "\(reason) It stays in \(folder)." }
    public var hint: String? {
        "If that other WAL doesn't belong to the cluster's history, put it aside first. To put \"\(name)\" back all the "
            + "same, use --certain."
    }
}

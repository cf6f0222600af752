public import Platform
public import Repository
import WAL

/// Takes back what was put aside: the objects of the newest folder of that name return to where they were. Nothing is
/// overwritten, and the record stays.
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

    /// Finds what is to move.
    ///
    /// - Parameter dataDirectory: a server's, whose pg_wal tells of several servers' files which are its own.
    /// - Throws: `NothingToPutBack`; `PlaceTaken` when the names have gone to another history, whose segments would stand
    ///   between those of this one; and what the store throws.
    public init(_ subject: PutAside.Subject, of archive: ClusterArchive, dataDirectory: String? = nil) throws {
        let store = archive.store
        (self.subject, self.archive, self.dataDirectory) = (subject, archive, dataDirectory)
        let folders = try archive.asideFolders().map { ($0, try archive.objects(of: $0)) }
            .filter { !$0.1.isEmpty }
        let own = folders.filter { $0.0.subject == subject.name }
        guard let newest = own.first else {
            throw NothingToPutBack(name: subject.name, others: folders.map(\.0.subject))
        }
        func staying(_ all: [AsideObject]) throws -> [AsideObject] {
            try all.filter { try store.exists($0.place) || store.exists(archive.key(for: $0.file)) }
        }
        // What stays in the newest doesn't stand in the way of the others. Of several servers' files those come first
        // that belong to what is around them.
        let free = try own.filter { try !store.contradicts($0.1) && staying($0.1).count < $0.1.count }
        let (folder, all) =
            try free.first { try archive.belongs($0.1, in: $0.0, to: dataDirectory) } ?? free.first ?? newest
        guard try !store.contradicts(all) else {
            throw PlaceTaken(name: subject.name, folder: folder.key.description)
        }
        self.folder = folder.key
        let staying = try staying(all)
        self.staying = staying
        // Histories last, and a further copy before the first: killed in between, a second call moves the rest.
        let moving = all.filter { !staying.contains($0) }
        objects =
            moving.filter { $0.copy > 1 } + moving.filter { $0.copy == 1 && $0.file.place != nil }
            + moving.filter { $0.copy == 1 && $0.file.place == nil }
    }

    /// Looks once more, and moves them: somebody may have been asked in between. Killed at any moment, it leaves every object
    /// under one of its keys, and a second call moves the rest.
    /// - Throws: `AsideInProgress`; `AsideChanged` when there is something else now; what the store throws.
    public func carryOut() throws {
        let lock = try AsideLock(archive)
        defer { withExtendedLifetime(lock) {} }
        let again: PutBack
        do { again = try PutBack(subject, of: archive, dataDirectory: dataDirectory) } catch is NothingToPutBack {
            throw AsideChanged(name: subject.name)
        }
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
    /// Whether the WAL goes on across the borders between segments that were put aside and what is archived of their
    /// timeline, as far as both can be read; and a server has no other ones under their names.
    fileprivate func belongs(
        _ objects: [AsideObject], in folder: AsideFolder, to dataDirectory: String?
    ) throws -> Bool {
        for object in objects {
            if case .history(let timeline) = object.file, let dataDirectory,
                let own = try? TimelineHistory(timeline, inWAL: dataDirectory + "/pg_wal"),
                try history(timeline, in: folder)?.isSame(as: own) == false
            {
                return false
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
                return false
            }
            let previous = try name.previous(segmentSize: aside.segmentSize).flatMap { name in
                try neighbour { try summary(of: name) }
            }
            let next = try neighbour { try summary(of: name.next(segmentSize: aside.segmentSize)) }
            if let previous, case .broken = Continuity.join(previous, aside) { return false }
            if let next, case .broken = Continuity.join(aside, next) { return false }
        }
        return true
    }

    /// Nil also for one that isn't there, or can't be read.
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
    public var message: String { "nothing was put aside as \"\(name)\"" }
    public var hint: String? {
        others.isEmpty
            ? "Nothing is put aside." : "These were put aside: \(Set(others).sorted().joined(separator: ", "))."
    }
}

/// What was put aside has lost its place to another history.
public struct PlaceTaken: Explained, Equatable {
    public let name: String
    public let folder: String
    public var message: String { "cannot put \"\(name)\" back: other WAL has been archived in its place" }
    public var detail: String? { "It stays in \(folder)." }
    public var hint: String? { "If that other WAL doesn't belong to the cluster's history, put it aside first." }
}

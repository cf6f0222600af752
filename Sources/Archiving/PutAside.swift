public import Platform
public import Repository
public import WAL

/// Takes WAL that doesn't belong there out of the cluster's history: a segment that a copy of the server archived
/// first, or a timeline that no server is on. Nothing is deleted: the objects move below `aside/`, with a record of the
/// reason.
///
/// Afterwards everything but a recovery to that timeline behaves as if they had never been archived, and the server can
/// archive its own files under their names.
public struct PutAside: Sendable {
    /// What to put aside.
    public enum Subject: Hashable, Sendable {
        case file(ArchiveFileName)
        /// A history file and every file of its timeline.
        case timeline(TimelineID)

        /// Reads a segment's, `.partial`'s or backup history file's name, a timeline's history file, or its number.
        public init?(_ text: String) {
            if let file = ArchiveFileName(text) {
                switch file {
                case .history(let timeline): self = .timeline(timeline)
                case .segment, .partial, .backupHistory: self = .file(file)
                }
            } else if let number = UInt32(text), number > 0 {
                self = .timeline(TimelineID(number))
            } else {
                return nil
            }
        }

        public var name: String {
            switch self {
            case .file(let file): file.description
            case .timeline(let timeline): "\(timeline.fileNamePart).history"
            }
        }
    }

    public let subject: Subject
    /// What will move, in order.
    public let keys: [RepositoryKey]
    /// The segments among them, in order.
    public var segments: [SegmentName] {
        let names = keys.compactMap { key -> SegmentName? in
            if case .segment(let name)? = ArchiveFileName.object(key.name)?.file { name } else { nil }
        }
        return Set(names).sorted()
    }
    /// The `RepositoryEntry.mark` of each key.
    private let marks: [Int64?]
    private let following: Bool
    private let archive: ClusterArchive

    /// Finds what is to move.
    ///
    /// - Parameter following: with a segment, all later ones of its timeline as well, and their backup history files.
    /// - Throws: `NothingToPutAside`, and what the store throws.
    public init(_ subject: Subject, following: Bool = false, of archive: ClusterArchive) throws {
        (self.subject, self.following, self.archive) = (subject, following, archive)
        var found: [(key: RepositoryKey, mark: Int64?)] = []
        switch subject {
        case .timeline(let timeline):
            // The history first: after that, no recovery follows it to the timeline.
            let history = archive.incarnation.history(timeline)
            if let entry = try archive.store.list(history.folder).first(where: { $0.name == history.name }) {
                found.append((history, entry.mark))
            }
            for folder in try archive.walFolders(of: timeline) {
                found += try archive.store.list(folder).filter { !$0.isFolder }
                    .map { (folder.appending($0.name), $0.mark) }
            }
        case .file(let file):
            guard let segment = file.place else { throw NothingToPutAside(name: subject.name) }
            for folder in try archive.walFolders(of: segment.timeline) {
                guard folder.name == segment.folder || following && folder.name > segment.folder else { continue }
                for other in try archive.files(in: folder)
                where other.file == file || following && PutAside.isLater(other.file, than: segment) {
                    found.append((folder.appending(other.entry.name), other.entry.mark))
                }
            }
        }
        guard !found.isEmpty else { throw NothingToPutAside(name: subject.name) }
        (keys, marks) = (found.map(\.key), found.map(\.mark))
    }

    /// Backup history files that belong to a branch's first segment count as later.
    private static func isLater(_ other: ArchiveFileName, than segment: SegmentName) -> Bool {
        guard let place = other.place else { return false }
        if case .backupHistory = other { return place >= segment }
        return place > segment
    }

    /// Checks again that the objects are the ones that were found, since a person may have been asked in between, and
    /// moves them. Killed at any moment, it leaves every object under one of its keys, and a second call moves the
    /// rest.
    /// - Parameters:
    ///   - now: names the folder.
    ///   - reason: for the record.
    ///   - judge: throws if the objects may not be put aside.
    /// - Returns: the folder to which they were moved.
    /// - Throws: `AsideInProgress`; `AsideChanged` when other objects are there now; what the store throws.
    @discardableResult
    public func carryOut(
        now: Moment, reason: String, judge: (PutAside) throws -> Void = { _ in }
    ) throws -> RepositoryKey {
        let lock = try AsideLock(archive)
        defer { withExtendedLifetime(lock) {} }
        let again: PutAside
        do { again = try PutAside(subject, following: following, of: archive) } catch is NothingToPutAside {
            throw AsideChanged(name: subject.name)
        }
        guard again.keys == keys, again.marks == marks else { throw AsideChanged(name: subject.name) }
        try judge(again)
        let backups = try complete()
        func record(_ moment: Moment) -> SealedDocument {
            AsideRecord(
                subject.name, reason: reason, time: moment.iso8601, objects: keys.map(relative), backups: backups
            ).document
        }
        let folder = try begunFolder(record) ?? newFolder(now, record: record(now))
        for key in keys {
            let place = relative(key).split(separator: "/").reduce(folder) { $0.appending(String($1)) }
            try lock.confirm()
            do { try archive.store.move(key, to: place) } catch is ObjectAbsent { continue }
        }
        // A folder without objects would still make the timeline seem to exist.
        if case .timeline(let timeline) = subject {
            let removal = archive.store.removal()
            for folder in Set(keys.map(\.folder)) where folder != archive.incarnation.walFolder {
                removal.removeIfEmpty(folder)
            }
            removal.removeIfEmpty(archive.incarnation.walFolder(timeline))
        }
        return folder
    }

    /// The labels of the backups that are complete now.
    private func complete() throws -> [String] {
        try archive.backups().filter {
            try archive.store.exists(archive.incarnation.backupDescription($0))
        }
    }

    /// The folder that an earlier call of this kind made, which was killed before it moved anything: its record says
    /// what this one would say. One that was put back has the same record, and nothing in it, either.
    private func begunFolder(_ record: (Moment) -> SealedDocument) throws -> RepositoryKey? {
        for folder in try archive.asideFolders() where folder.subject == subject.name {
            guard try archive.readableObjects(of: folder)?.isEmpty == true,
                let there = try? archive.store.readIfPresent(folder.key.appending("record.json")),
                there == record(folder.time).bytes
            else { continue }
            return folder.key
        }
        return nil
    }

    /// A folder of this call's own, with its record: a microsecond later than the last one, if that was at the same
    /// moment or the clock has been set back.
    private func newFolder(_ now: Moment, record: SealedDocument) throws -> RepositoryKey {
        let last = try archive.asideFolders().first?.time
        var moment = max(now, last.map { Moment(microseconds: $0.microseconds + 1) } ?? now)
        while true {
            let folder = archive.incarnation.asideFolder.appending(AsideFolder.name(moment, subject.name))
            do {
                try archive.store.create(folder.appending("record.json"), record)
                return folder
            } catch is ObjectExists { moment = Moment(microseconds: moment.microseconds + 1) }
        }
    }

    /// The key's part below the incarnation, `wal/…`.
    private func relative(_ key: RepositoryKey) -> String {
        String(key.description.dropFirst(archive.incarnation.folder.description.count + 1))
    }
}

/// The repository has no object of that name.
public struct NothingToPutAside: Explained, Equatable {
    public let name: String
    public var message: String { "\"\(name)\" is not in the repository" }
    public var hint: String? {
        "Name a segment, a .partial, a .backup, or a timeline by its history file or number, as \"\(runnable("tidemark segments"))\" shows them."
    }
}

import Platform
public import WAL

/// What one call of `put-aside` moved: a folder below `aside/`.
public struct AsideFolder: Hashable, Sendable {
    public let key: RepositoryKey
    /// When, from the folder's name. Each is later than the ones before it, whatever the clock did.
    public let time: Moment
    /// What was named to `put-aside`, and is named to `put-back`: a file or a timeline.
    public let subject: String

    /// Reads a folder's name, `<time>-<subject>`; nil for any other.
    fileprivate init?(_ name: String, in aside: RepositoryKey) {
        guard let dash = name.firstIndex(of: "-"), ArchiveFileName(String(name[name.index(after: dash)...])) != nil,
            let time = Moment(compact: name[..<dash])
        else { return nil }
        key = aside.appending(name)
        self.time = time
        subject = String(name[name.index(after: dash)...])
    }

    /// The name of a folder, as it is read above.
    public static func name(_ time: Moment, _ subject: String) -> String {
        let fraction = String(1_000_000 + time.civil.microsecond).dropFirst()
        return "\(time.compact.dropLast()).\(fraction)Z-\(subject)"
    }
}

/// An object that was put aside.
public struct AsideObject: Hashable, Sendable {
    /// Where it is now.
    public let key: RepositoryKey
    /// Where it was.
    public let place: RepositoryKey
    public let file: ArchiveFileName
    public let copy: Int
}

extension ClusterArchive {
    /// Newest first.
    public func asideFolders() throws -> [AsideFolder] {
        try store.list(incarnation.asideFolder).filter(\.isFolder)
            .compactMap { AsideFolder($0.name, in: incarnation.asideFolder) }
            .sorted { ($0.time, $0.key) > ($1.time, $1.key) }
    }

    /// As `asideFolders`; none where that can't be listed. For those who only look: `UnlistedAside` tells a person.
    public func readableAsideFolders() throws -> [AsideFolder] {
        do { return try asideFolders() } catch let failure as any Explained where failure.concernsOneObject {
            return []
        }
    }

    /// The names under which some of a gap's segments were put aside, newest first.
    public func aside(_ gap: LineageGap) throws -> [String] {
        var names: [String] = []
        for folder in try readableAsideFolders() where !names.contains(folder.subject) {
            guard let objects = try readableObjects(of: folder) else { continue }
            if objects.contains(where: { gap.contains($0.file) }) { names.append(folder.subject) }
        }
        return names
    }

    /// The timelines of a history that were put aside, and whose own history has not been archived again; newest first.
    /// A server that has been on one adds to what was put aside of it: archiving can't bring that timeline back.
    public func timelinesAside(of history: TimelineHistory) throws -> [TimelineID] {
        let timelines = [history.timeline] + history.ancestors.reversed().map(\.timeline)
        return try timelines.filter { timeline in
            guard timeline > TimelineID(1), try !has(.history(timeline)) else { return false }
            let own = TimelineHistory(
                timeline: timeline, ancestors: history.ancestors.filter { $0.timeline < timeline })
            let subject = ArchiveFileName.history(timeline).description
            return try readableAsideFolders().contains { folder in
                // Another server may have taken the same number.
                try folder.subject == subject && self.history(timeline, in: folder)?.isSame(as: own) ?? true
            }
        }
    }

    /// The newest timeline of a gap that was put aside although one that descends from it is archived; nil when there
    /// is none.
    public func timelineAside(_ gap: LineageGap) throws -> TimelineID? {
        let timelines = gap.ranges.map(\.first.timeline)
        for descendant in try histories() where descendant > timelines[0] {
            guard let history = try readableHistory(descendant) else { continue }
            if let found = try timelinesAside(of: history).first(where: timelines.contains) { return found }
        }
        return nil
    }

    /// The history of a timeline that was put aside; nil where it isn't there or can't be read.
    public func history(_ timeline: TimelineID, in folder: AsideFolder) throws -> TimelineHistory? {
        do {
            let key = AsideStore.place(incarnation.history(timeline), incarnation, in: folder.key)
            return try StoredSegment(key, in: store).history(of: timeline)
        } catch is BadTimelineHistory { return nil } catch let failure as any Explained where failure.concernsOneObject
        {
            return nil
        }
    }

    /// As `objects(of:)`; nil where the folder can't be listed.
    public func readableObjects(of folder: AsideFolder) throws -> [AsideObject]? {
        do { return try objects(of: folder) } catch let failure as any Explained where failure.concernsOneObject {
            return nil
        }
    }

    /// What is still in such a folder, in order of the keys; histories last.
    public func objects(of folder: AsideFolder) throws -> [AsideObject] {
        var objects: [AsideObject] = []
        func add(_ entry: RepositoryEntry, _ key: RepositoryKey) {
            guard !entry.isFolder, let (file, copy) = ArchiveFileName.object(entry.name) else { return }
            objects.append(
                AsideObject(
                    key: key.appending(entry.name), place: incarnation.key(for: file, copy: copy), file: file,
                    copy: copy))
        }
        let wal = folder.key.appending("wal")
        let entries = try store.list(wal)
        for timeline in entries where timeline.isFolder {
            let key = wal.appending(timeline.name)
            for part in try store.list(key) where part.isFolder {
                for entry in try store.list(key.appending(part.name)) { add(entry, key.appending(part.name)) }
            }
        }
        for entry in entries { add(entry, wal) }
        return objects
    }
}

extension LineageGap {
    /// Whether a file is one of the missing segments.
    public func contains(_ file: ArchiveFileName) -> Bool {
        guard case .segment(let name) = file else { return false }
        return ranges.contains { $0.first.timeline == name.timeline && $0.first <= name && name <= $0.last }
    }
}

extension ObjectStore {
    /// Whether an object that was put aside belongs to another history than the one at `place`: a segment or a
    /// timeline's history with other contents. False when nothing is at `place`.
    func contradicts(_ object: AsideObject, at place: RepositoryKey) throws -> Bool {
        switch object.file {
        case .partial, .backupHistory: return false
        case .segment, .history: break
        }
        do {
            let there = try StoredSegment(place, in: self)
            let aside = try StoredSegment(object.key, in: self)
            if there.head.digest == aside.head.digest { return false }
            guard case .history(let timeline) = object.file else { return true }
            return try !there.history(of: timeline).isSame(as: aside.history(of: timeline))
        } catch is ObjectAbsent { return false } catch is ObjectDamaged { return true } catch is BadTimelineHistory {
            return true
        }
    }

    /// Whether something of another history has been archived since under the places of these objects.
    public func contradicts(_ objects: [AsideObject]) throws -> Bool {
        try objects.contains { try contradicts($0, at: $0.place) }
    }
}

extension StoredSegment {
    /// What a history file says.
    fileprivate func history(of timeline: TimelineID) throws -> TimelineHistory {
        try TimelineHistory(timeline: timeline, file: String(decoding: bytes(limit: 1 << 20), as: UTF8.self))
    }
}

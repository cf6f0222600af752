import Glibc
import Platform
public import WAL

extension Repository {
    /// The clusters that have a folder, in order of their names.
    public func clusters() throws -> [String] {
        try store.list(.root).filter(\.isFolder).map(\.name)
    }

    /// A cluster's incarnations that `tidemark init` completed, oldest major version first, including those that can't
    /// be examined: they may be complete.
    public func incarnations(of cluster: String) throws -> [Incarnation] {
        try store.list(RepositoryKey.root.appending(cluster)).filter(\.isFolder)
            .compactMap { Incarnation(cluster: cluster, folderName: $0.name) }
            .filter { incarnation in
                do { return try store.exists(incarnation.marker) } catch let error as SystemError
                    where error.code == EACCES
                {
                    return true
                }
            }
            .sorted { ($0.major, $0.systemIdentifier) < ($1.major, $1.systemIdentifier) }
    }
}

extension ClusterArchive {
    /// Timelines that have segments or a history file, in order.
    public func timelines() throws -> [TimelineID] {
        var found: Set<TimelineID> = []
        for entry in try store.list(incarnation.walFolder) {
            if entry.isFolder {
                if let name = SegmentName(entry.name + "0000000000000000") { found.insert(name.timeline) }
            } else if let timeline = historyTimeline(entry.name) {
                found.insert(timeline)
            }
        }
        return found.sorted()
    }

    /// Timelines whose history file is there, in order.
    public func histories() throws -> [TimelineID] {
        try store.list(incarnation.walFolder).compactMap { historyTimeline($0.name) }.sorted()
    }

    /// A timeline history file's text, verified; nil when it isn't there.
    public func history(_ timeline: TimelineID) throws -> [UInt8]? {
        do {
            return try StoredSegment(incarnation.history(timeline), in: store).bytes(limit: 1 << 20)
        } catch is ObjectAbsent { return nil }
    }

    /// A timeline's history; nil when its file isn't there.
    /// - Throws: `BadTimelineHistory`, and what reading throws.
    public func timelineHistory(_ timeline: TimelineID) throws -> TimelineHistory? {
        try history(timeline).map {
            try TimelineHistory(timeline: timeline, file: String(decoding: $0, as: UTF8.self))
        }
    }

    /// As `timelineHistory`, and nil as well for a file that is damaged.
    public func storedHistory(_ timeline: TimelineID) throws -> TimelineHistory? {
        do { return try timelineHistory(timeline) } catch is ObjectDamaged {
            return nil
        } catch is BadTimelineHistory { return nil }
    }

    /// As `storedHistory`; where that is nil, as rebuilt from a descendant's. One that can't be rebuilt leads nowhere:
    /// `lostHistories` tells of it.
    public func readableHistory(_ timeline: TimelineID) throws -> TimelineHistory? {
        if let stored = try storedHistory(timeline) { return stored }
        guard timeline > TimelineID(1), let text = try rebuiltHistory(timeline) else { return nil }
        return try? TimelineHistory(timeline: timeline, file: String(decoding: text, as: UTF8.self))
    }

    /// Every history that can be read or rebuilt.
    public func readableHistories() throws -> [TimelineID: TimelineHistory] {
        var found: [TimelineID: TimelineHistory] = [:]
        for (timeline, text) in try readableHistoryTexts() {
            found[timeline] = try? TimelineHistory(timeline: timeline, file: String(decoding: text, as: UTF8.self))
        }
        return found
    }

    /// The folders of a timeline's WAL, one for 4 GiB of WAL, in order.
    public func walFolders(of timeline: TimelineID) throws -> [RepositoryKey] {
        let parent = incarnation.walFolder(timeline)
        return try store.list(parent).filter(\.isFolder).map { parent.appending($0.name) }
    }

    /// The files from PostgreSQL's archiver in one of these folders, in order of their names; other files are left out.
    /// - Parameter name: only files whose names come after this one.
    public func files(in folder: RepositoryKey, after name: String? = nil) throws -> [ArchivedFile] {
        try store.list(folder, after: name).compactMap { entry in
            guard !entry.isFolder, let (file, copy) = ArchiveFileName.object(entry.name) else { return nil }
            return ArchivedFile(file: file, copy: copy, entry: entry)
        }
    }

    /// The completed segments of a timeline, in order; with `from` only that one and later ones.
    ///
    /// Costs one folder listing per 4 GiB of WAL.
    public func segments(timeline: TimelineID, from first: SegmentName? = nil) throws -> [SegmentName] {
        try names(of: timeline, from: first) { if case .segment(let name) = $0 { name } else { nil } }
    }

    /// As `segments`, of the incomplete last segments that servers left under their names with `.partial`.
    public func partials(timeline: TimelineID, from first: SegmentName? = nil) throws -> [SegmentName] {
        try names(of: timeline, from: first) { if case .partial(let name) = $0 { name } else { nil } }
    }

    private func names(
        of timeline: TimelineID, from first: SegmentName?, _ wanted: (ArchiveFileName) -> SegmentName?
    ) throws -> [SegmentName] {
        var names: [SegmentName] = []
        for folder in try walFolders(of: timeline) {
            let isFirst = first?.folder == folder.name
            if let first, !isFirst, folder.name < first.folder { continue }
            // An object's name begins with its segment's, so the first one's own comes after that.
            for found in try files(in: folder, after: isFirst ? first?.description : nil) where found.copy == 1 {
                guard let name = wanted(found.file), first.map({ $0 <= name }) ?? true else { continue }
                names.append(name)
            }
        }
        return names.sorted()
    }

    /// Labels that have a folder under `backup/`, oldest first; complete or not.
    public func backups() throws -> [String] {
        try store.list(incarnation.backupFolder).filter(\.isFolder).map(\.name)
    }
}

/// An object in a timeline's WAL folders.
public struct ArchivedFile: Sendable, Hashable {
    public let file: ArchiveFileName
    /// 1 for the first of that name.
    public let copy: Int
    public let entry: RepositoryEntry
}

extension ObjectStore {
    /// The whole content of a small object; nil when it isn't there.
    /// - Throws: `ObjectDamaged` when it has more than `limit` bytes, and what the store throws.
    public func readIfPresent(_ key: RepositoryKey, limit: Int = 64 << 20) throws -> [UInt8]? {
        do { return try read(key, limit: limit) } catch is ObjectAbsent { return nil }
    }

    /// As `readIfPresent`, but throws `ObjectAbsent` when it isn't there.
    public func read(_ key: RepositoryKey, limit: Int = 64 << 20) throws -> [UInt8] {
        let object = try open(key, bringing: 64 << 10)
        guard object.size <= limit else {
            throw ObjectDamaged(key: key, "It has \(object.size) bytes; at most \(limit) were expected.")
        }
        var bytes = [UInt8](repeating: 0, count: Int(object.size))
        let count = try bytes.withUnsafeMutableBytes { try object.read(into: $0, at: 0) }
        guard count == bytes.count else {
            throw ObjectDamaged(key: key, "It ended after \(count) of \(bytes.count) bytes.")
        }
        return bytes
    }

    /// Creates a small object from bytes at hand; throws as `create` does.
    public func create(_ key: RepositoryKey, bytes: [UInt8]) throws {
        try create(key) { append in try bytes.withUnsafeBytes { try append($0) } }
    }

    public func exists(_ key: RepositoryKey) throws -> Bool { try size(of: key) != nil }
}

private func historyTimeline(_ name: String) -> TimelineID? {
    guard name.hasSuffix(".zst"), case .history(let timeline)? = ArchiveFileName(String(name.dropLast(4))) else {
        return nil
    }
    return timeline
}

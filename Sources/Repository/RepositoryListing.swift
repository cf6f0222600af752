import Glibc
import Platform
public import WAL

extension ObjectStore {
    /// The clusters that have a folder, in order of their names.
    public func clusters() throws -> [String] {
        try list(.root).filter(\.isFolder).map(\.name)
    }

    /// A cluster's incarnations that `tidemark init` completed, oldest major version first. One that can't be looked into is
    /// among them: nobody knows that it was not.
    public func incarnations(of cluster: String) throws -> [Incarnation] {
        try list(RepositoryKey.root.appending(cluster)).filter(\.isFolder)
            .compactMap { Incarnation(cluster: cluster, folderName: $0.name) }
            .filter { incarnation in
                do { return try exists(incarnation.marker) } catch let error as SystemError where error.code == EACCES {
                    return true
                }
            }
            .sorted { ($0.major, $0.systemIdentifier) < ($1.major, $1.systemIdentifier) }
    }

    /// Timelines that have segments or a history file, in order.
    public func timelines(of incarnation: Incarnation) throws -> [TimelineID] {
        var found: Set<TimelineID> = []
        for entry in try list(incarnation.walFolder) {
            if entry.isFolder {
                if let name = SegmentName(entry.name + "0000000000000000") { found.insert(name.timeline) }
            } else if let timeline = historyTimeline(entry.name) {
                found.insert(timeline)
            }
        }
        return found.sorted()
    }

    /// Timelines whose history file is there, in order.
    public func histories(of incarnation: Incarnation) throws -> [TimelineID] {
        try list(incarnation.walFolder).compactMap { historyTimeline($0.name) }.sorted()
    }

    /// A timeline history file's text, verified; nil when it isn't there.
    public func history(_ timeline: TimelineID, of incarnation: Incarnation) throws -> [UInt8]? {
        do {
            return try StoredSegment(incarnation.history(timeline), in: self).bytes(limit: 1 << 20)
        } catch is ObjectAbsent { return nil }
    }

    /// A timeline's history; nil when its file isn't there.
    /// - Throws: `BadTimelineHistory`, and what reading throws.
    public func timelineHistory(_ timeline: TimelineID, of incarnation: Incarnation) throws -> TimelineHistory? {
        try history(timeline, of: incarnation).map {
            try TimelineHistory(timeline: timeline, file: String(decoding: $0, as: UTF8.self))
        }
    }

    /// As `timelineHistory`, and nil as well for one that is damaged: it leads nowhere, like one that is gone.
    /// `lostHistories` tells of both.
    public func readableHistory(_ timeline: TimelineID, of incarnation: Incarnation) throws -> TimelineHistory? {
        do { return try timelineHistory(timeline, of: incarnation) } catch is ObjectDamaged {
            return nil
        } catch is BadTimelineHistory { return nil }
    }

    /// Every history that can be read.
    public func readableHistories(of incarnation: Incarnation) throws -> [TimelineID: TimelineHistory] {
        var found: [TimelineID: TimelineHistory] = [:]
        for timeline in try histories(of: incarnation) {
            found[timeline] = try readableHistory(timeline, of: incarnation)
        }
        return found
    }

    /// The completed segments of a timeline, in order; with `from` only that one and later ones.
    ///
    /// Costs one folder listing per 4 GiB of log.
    public func segments(
        of incarnation: Incarnation, timeline: TimelineID, from first: SegmentName? = nil
    ) throws -> [SegmentName] {
        var names: [SegmentName] = []
        for folder in try list(incarnation.walFolder(timeline)) where folder.isFolder {
            if let first, folder.name < first.folder { continue }
            // An object's name begins with its segment's, so the first one's own comes after that.
            let start = first.flatMap { $0.folder == folder.name ? $0.description : nil }
            for entry in try list(incarnation.walFolder(timeline).appending(folder.name), after: start)
            where !entry.isFolder {
                guard entry.name.hasSuffix(".zst"), let name = SegmentName(String(entry.name.dropLast(4))) else {
                    continue
                }
                if let first, name < first { continue }
                names.append(name)
            }
        }
        return names.sorted()
    }

    /// As `segments`, of the incomplete last segments that servers left under their names with `.partial`.
    public func partials(
        of incarnation: Incarnation, timeline: TimelineID, from first: SegmentName? = nil
    ) throws -> [SegmentName] {
        var names: [SegmentName] = []
        for folder in try list(incarnation.walFolder(timeline)) where folder.isFolder {
            if let first, folder.name < first.folder { continue }
            // An object's name begins with its segment's, so the first one's own comes after that.
            let start = first.flatMap { $0.folder == folder.name ? $0.description : nil }
            for entry in try list(incarnation.walFolder(timeline).appending(folder.name), after: start)
            where !entry.isFolder {
                guard entry.name.hasSuffix(".partial.zst"), let name = SegmentName(String(entry.name.dropLast(12))),
                    first.map({ $0 <= name }) ?? true
                else { continue }
                names.append(name)
            }
        }
        return names.sorted()
    }

    /// Labels that have a folder under `backup/`, oldest first; complete or not.
    public func backups(of incarnation: Incarnation) throws -> [String] {
        try list(incarnation.backupFolder).filter(\.isFolder).map(\.name)
    }

    /// The whole content of a small object; nil when it isn't there.
    /// - Throws: `ObjectDamaged` when it has more than `limit` bytes, and what the store throws.
    public func readIfPresent(_ key: RepositoryKey, limit: Int = 64 << 20) throws -> [UInt8]? {
        do { return try read(key, limit: limit) } catch is ObjectAbsent { return nil }
    }

    /// As `readIfPresent`, but throws `ObjectAbsent` when it isn't there.
    public func read(_ key: RepositoryKey, limit: Int = 64 << 20) throws -> [UInt8] {
        let object = try open(key)
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

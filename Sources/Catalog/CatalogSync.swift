import Platform
import Repository
import SQLite
import WAL

/// What bringing a catalog up to date did.
public struct CatalogChanges: Hashable, Sendable {
    /// Segments whose heads were read.
    public var read = 0
    /// Segments that are no longer in the repository.
    public var gone = 0

    public init() {}
}

extension Catalog {
    /// Segments in a row of the table `chunk`.
    static let chunkBits: Int64 = 10

    /// Makes the catalog say what the repository holds now. Reads the head of each new segment, and folders that changed.
    public func synchronize(jobs: Int, progress: (Int, Int) -> Void = { _, _ in }) throws -> CatalogChanges {
        if try store.histories(of: incarnation).elementsEqual(self.histories().keys.sorted()),
            try !historiesMayDiffer(), try changedFolders().isEmpty
        {
            return CatalogChanges()
        }
        // One process at a time; whoever waited finds most of it done.
        return try file.locked { try synchronizeLocked(jobs: jobs, progress: progress) }
    }

    private func synchronizeLocked(jobs: Int, progress: (Int, Int) -> Void) throws -> CatalogChanges {
        let told = try synchronizeHistories()
        var changes = CatalogChanges()
        let listing = try changedFolders()
        guard let size = try learnSegmentSize(listing) else {
            try setAbout("synchronized", String(Clock.now))
            return changes
        }
        var set = try segments()
        var added: [SegmentName] = []
        var removed: [SegmentName] = []
        for folder in listing {
            let known = try knownSegments(in: folder, size)
            added += folder.names.filter {
                (!known.contains($0) || folder.copied.contains($0)) && $0.isPossible(segmentSize: size)
            }
            let present = Set(folder.names)
            removed += known.filter { !present.contains($0) }
        }
        for name in removed { set.remove(name) }
        for name in added { set.insert(name) }
        try remove(removed, size)
        changes.gone = removed.count
        // Segments whose left side was open get another look when their predecessor has come, or their timeline's history.
        let genealogy = try genealogy()
        let fresh = Set(added)
        let reopened = try openLeft(set, size).filter {
            try told.contains($0.timeline) || follows($0, fresh, in: set, genealogy)
        }
        let work = fresh.union(reopened).sorted()
        try read(work, in: set, genealogy, size: size, jobs: jobs, progress: progress)
        changes.read = work.count
        try finish(listing, set, work + removed, size)
        return changes
    }

    private struct Folder {
        let timeline: TimelineID
        let name: String
        /// Of the folder before it was listed.
        let mark: Int64?
        let names: [SegmentName]
        /// Segments of which another copy, or a `.partial`, lies here: the one with the most records may be new.
        let copied: Set<SegmentName>
    }

    /// - Returns: the timelines whose histories are new.
    private func synchronizeHistories() throws -> Set<TimelineID> {
        let known = Set(try histories().keys)
        let mark = try store.changeMark(of: incarnation.walFolder)
        let mayDiffer = try historiesMayDiffer()
        let present = try store.histories(of: incarnation)
        // A timeline may have been put aside, and another server may have taken its number.
        for timeline in known.subtracting(present) {
            try database.run("DELETE FROM history WHERE timeline = ?", Int64(timeline.rawValue))
        }
        var told: Set<TimelineID> = []
        for timeline in present where mayDiffer || !known.contains(timeline) {
            guard let text = try store.history(timeline, of: incarnation) else { continue }
            try database.run(
                "INSERT OR REPLACE INTO history (timeline, content) VALUES (?, ?)", Int64(timeline.rawValue),
                String(decoding: text, as: UTF8.self))
            told.insert(timeline)
        }
        try setAbout("histories", mark.map(String.init) ?? "")
        return told
    }

    /// Whether the folder of the histories has changed since they were read, as far as that can be told.
    private func historiesMayDiffer() throws -> Bool {
        guard let mark = try store.changeMark(of: incarnation.walFolder) else { return true }
        return try about("histories") != String(mark)
    }

    /// The folders whose listing may have changed; one that is gone has no names.
    private func changedFolders() throws -> [Folder] {
        var marks: [String: Int64] = [:]
        var missing: Set<String> = []
        let statement = try database.prepare("SELECT timeline, name, mark FROM folder")
        while try statement.step() {
            missing.insert(statement.text(1))
            if !statement.isNull(2) { marks[statement.text(1)] = statement.integer(2) }
        }
        var folders: [Folder] = []
        for timeline in try store.timelines(of: incarnation) {
            let parent = incarnation.walFolder(timeline)
            for entry in try store.list(parent) where entry.isFolder && entry.name.utf8.count == 16 {
                missing.remove(entry.name)
                let key = parent.appending(entry.name)
                let mark = try store.changeMark(of: key)
                if let mark, marks[entry.name] == mark { continue }
                var names: [SegmentName] = []
                var copied: Set<SegmentName> = []
                for object in try store.list(key) where !object.isFolder {
                    switch ArchiveFileName.object(object.name) {
                    case (.segment(let name), 1)?: names.append(name)
                    case (.segment(let name), _)?, (.partial(let name), _)?: copied.insert(name)
                    default: continue
                    }
                }
                folders.append(Folder(timeline: timeline, name: entry.name, mark: mark, names: names, copied: copied))
            }
        }
        for name in missing {
            guard let first = SegmentName(name + "00000000") else { continue }
            folders.append(Folder(timeline: first.timeline, name: name, mark: nil, names: [], copied: []))
        }
        return folders
    }

    /// A segment's size is the length of its file; all of an incarnation have the same.
    private func learnSegmentSize(_ listing: [Folder]) throws -> UInt32? {
        if let known = try segmentSize() { return known }
        for name in listing.lazy.flatMap(\.names) {
            guard let head = try? store.stored(name, of: incarnation).head,
                let size = UInt32(exactly: head.rawLength), size >= 1 << 20, size & (size - 1) == 0
            else { continue }
            try setAbout("segment_size", String(size))
            return size
        }
        return nil
    }

    /// The segments of a folder's 4 GiB that the catalog has.
    private func knownSegments(in folder: Folder, _ size: UInt32) throws -> Set<SegmentName> {
        guard let first = SegmentName(folder.name + "00000000") else { return [] }
        let begin = first.number(segmentSize: size)
        let statement = try database.prepare(
            "SELECT number FROM segment WHERE timeline = ? AND number >= ? AND number < ?")
        try statement.bind([
            Int64(folder.timeline.rawValue), Int64(bitPattern: begin),
            Int64(bitPattern: begin + 0x1_0000_0000 / UInt64(size)),
        ])
        var known: Set<SegmentName> = []
        while try statement.step() {
            known.insert(
                SegmentName(
                    timeline: folder.timeline, number: UInt64(bitPattern: statement.integer(0)), segmentSize: size))
        }
        return known
    }

    private func remove(_ names: [SegmentName], _ size: UInt32) throws {
        guard !names.isEmpty else { return }
        try database.transaction {
            for table in ["segment", "event", "open"] {
                let statement = try database.prepare("DELETE FROM \(table) WHERE timeline = ? AND number = ?")
                for name in names {
                    try statement.run(
                        Int64(name.timeline.rawValue), Int64(bitPattern: name.number(segmentSize: size)))
                }
            }
        }
    }

    private func openLeft(_ set: SegmentSet, _ size: UInt32) throws -> [SegmentName] {
        let statement = try database.prepare(
            "SELECT timeline, number FROM segment INDEXED BY segment_notable WHERE (link <> 1 OR state <> 0) AND link = 0"
        )
        var names: [SegmentName] = []
        while try statement.step() {
            names.append(
                SegmentName(
                    timeline: TimelineID(UInt32(truncatingIfNeeded: statement.integer(0))),
                    number: UInt64(bitPattern: statement.integer(1)), segmentSize: size))
        }
        return names.filter { set.contains($0) }
    }

    /// The segment whose records `name` continues, if it is there.
    func predecessor(of name: SegmentName, in set: SegmentSet, _ genealogy: Genealogy) -> SegmentName? {
        genealogy.predecessor(of: name).flatMap { set.contains($0) ? $0 : nil }
    }

    /// Whether one of `fresh` is the predecessor of a segment, or goes before predecessors in which no record starts.
    private func follows(
        _ name: SegmentName, _ fresh: Set<SegmentName>, in set: SegmentSet, _ genealogy: Genealogy
    ) throws -> Bool {
        var next = predecessor(of: name, in: set, genealogy)
        while let before = next {
            if fresh.contains(before) { return true }
            guard let row = try segment(before), row.state == .read, row.firstRecord == nil else { return false }
            next = predecessor(of: before, in: set, genealogy)
        }
        return false
    }

    private func finish(_ listing: [Folder], _ set: SegmentSet, _ touched: [SegmentName], _ size: UInt32) throws {
        try database.transaction {
            try summarize(touched, size)
            if !touched.isEmpty {
                try database.execute("DELETE FROM run")
                let statement = try database.prepare("INSERT INTO run (timeline, first, last) VALUES (?, ?, ?)")
                for timeline in set.timelines {
                    for run in set.runs(of: timeline) {
                        try statement.run(
                            Int64(timeline.rawValue), Int64(bitPattern: run.lowerBound),
                            Int64(bitPattern: run.upperBound))
                    }
                }
            }
            for folder in listing {
                if folder.names.isEmpty {
                    try database.run("DELETE FROM folder WHERE name = ?", folder.name)
                } else {
                    try database.run(
                        "INSERT OR REPLACE INTO folder (timeline, name, mark) VALUES (?, ?, ?)",
                        Int64(folder.timeline.rawValue), folder.name, folder.mark)
                }
            }
            try setAbout("synchronized", String(Clock.now))
        }
    }

    private func summarize(_ touched: [SegmentName], _ size: UInt32) throws {
        struct Place: Hashable {
            let timeline: Int64, chunk: Int64
        }
        let places = Set(
            touched.map {
                Place(
                    timeline: Int64($0.timeline.rawValue),
                    chunk: Int64($0.number(segmentSize: size)) >> Catalog.chunkBits)
            })
        let clear = try database.prepare("DELETE FROM chunk WHERE timeline = ? AND chunk = ?")
        let fill = try database.prepare(
            """
            INSERT INTO chunk
            SELECT timeline, number >> \(Catalog.chunkBits), count(*), sum(stored_bytes), sum(records), sum(commits),
                min(earliest_stop), max(latest_stop), min(lowest_xid), max(highest_xid)
            FROM segment WHERE timeline = ? AND number >= ? AND number < ? GROUP BY 1, 2
            """)
        for place in places {
            try clear.run(place.timeline, place.chunk)
            try fill.run(
                place.timeline, place.chunk << Catalog.chunkBits, (place.chunk + 1) << Catalog.chunkBits)
        }
    }
}

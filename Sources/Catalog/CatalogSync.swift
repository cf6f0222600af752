import Platform
import Repository
import SQLite
import WAL

/// What a synchronization changed.
public struct CatalogChanges: Hashable, Sendable {
    /// Segments whose heads were read.
    public var read = 0
    /// Segments that were removed from the repository.
    public var gone = 0

    public init() {}
}

extension Catalog {
    /// Synchronizes the catalog with the repository. Reads the head of each new segment, folders that changed, and the
    /// histories.
    /// - Parameter isExact: finds every change at once, whatever that costs in a store that doesn't tell what has
    ///   changed (`Relisting`).
    public func synchronize(
        jobs: Int, isExact: Bool = false, progress: (Int, Int) -> Void = { _, _ in }
    ) throws -> CatalogChanges {
        if try !historiesDiffer() {
            let listing = try listFolders(all: isExact && !archive.store.tellsChanges)
            if listing.changed.isEmpty {
                if !listing.confirmed.isEmpty { try database.transaction { try write(listing, again: []) } }
                return CatalogChanges()
            }
        }
        // One process at a time; one that had to wait finds most of it done.
        return try file.locked {
            // A row that is committed isn't read again; so everything derived from it is committed with it. A process
            // that dies on the way leaves an incomplete catalog, never a wrong one.
            try database.transaction {
                try synchronizeInTransaction(
                    listFolders(all: isExact && !archive.store.tellsChanges), jobs: jobs, progress: progress)
            }
        }
    }

    private func synchronizeInTransaction(
        _ found: FolderListing, jobs: Int, progress: (Int, Int) -> Void
    ) throws -> CatalogChanges {
        let told = try synchronizeHistories()
        var changes = CatalogChanges()
        let listing = found.changed
        guard let size = try learnSegmentSize(listing) else {
            try setAbout("synchronized", String(Clock.now))
            return changes
        }
        var set = try segments()
        var added: [SegmentName] = []
        var removed: [SegmentName] = []
        for folder in listing {
            let known = try knownSegments(in: folder, size)
            added += folder.names.filter { name in
                // A segment that was put aside may have been archived again, with other content.
                let isKnown = known[name].map { $0.isSettled && $0.mark == folder.marks[name] } ?? false
                return (!isKnown || folder.copied.contains(name)) && name.isPossible(segmentSize: size)
            }
            let present = Set(folder.names)
            removed += known.keys.filter { !present.contains($0) }
        }
        for name in removed { set.remove(name) }
        let known = set
        for name in added { set.insert(name) }
        try remove(removed, size)
        changes.gone = removed.count
        // A segment's link is checked again when its predecessor is new or replaced, and when its timeline's history
        // is.
        let genealogy = try genealogy()
        let fresh = Set(added)
        let reopened = try openLeft(set, size).filter {
            try told[$0.timeline] != nil || follows($0, fresh, in: set, genealogy)
        }
        let work = try fresh.union(reopened).union(successors(of: fresh, told, in: set, genealogy)).sorted()
        let marks = listing.reduce(into: [:]) { $0.merge($1.marks) { mark, _ in mark } }
        let reading = try read(work, fresh, beside: known, in: set, genealogy, marks, jobs: jobs, progress: progress)
        for name in reading.gone { set.remove(name) }
        changes.read = work.count - reading.gone.count
        changes.gone += reading.gone.count
        if !(work.isEmpty && removed.isEmpty) { try write(runsOf: set) }
        try write(found, again: reading.again)
        return changes
    }

    /// A segment's size is the length of its file, the same for all of an incarnation.
    private func learnSegmentSize(_ listing: [ListedFolder]) throws -> UInt32? {
        if try about("segment_size") != nil { return try segmentSize() }
        for name in listing.lazy.flatMap(\.names) {
            guard let head = try? archive.head(of: name),
                SegmentName.exists(segmentSize: head.rawLength)
            else { continue }
            try setAbout("segment_size", String(head.rawLength))
            return UInt32(head.rawLength)
        }
        return nil
    }

    private struct Known {
        let isSettled: Bool
        /// The mark of its object in the listing.
        let mark: Int64?
    }

    /// The catalog's segments in a folder's 4 GiB.
    private func knownSegments(in folder: ListedFolder, _ size: UInt32) throws -> [SegmentName: Known] {
        guard let first = SegmentName(folder.name + "00000000") else { return [:] }
        let begin = first.number(segmentSize: size)
        let statement = try database.prepare(
            "SELECT number, mark, state FROM segment LEFT JOIN object USING (timeline, number) "
                + "WHERE timeline = ? AND number >= ? AND number < ?")
        try statement.bind([
            Int64(folder.timeline.rawValue), Int64(bitPattern: begin),
            Int64(bitPattern: begin + 0x1_0000_0000 / UInt64(size)),
        ])
        var known: [SegmentName: Known] = [:]
        while try statement.step() {
            let name = SegmentName(
                timeline: folder.timeline, number: try statement.number(0, size), segmentSize: size)
            known[name] = Known(
                isSettled: try statement.oneOf(SegmentRow.State.self, 2).isSettled,
                mark: statement.isNull(1) ? nil : statement.integer(1))
        }
        return known
    }

    func remove(_ names: [SegmentName], _ size: UInt32) throws {
        guard !names.isEmpty else { return }
        for table in ["segment", "object", "event", "open"] {
            let statement = try database.prepare("DELETE FROM \(table) WHERE timeline = ? AND number = ?")
            for name in names {
                try statement.run(Int64(name.timeline.rawValue), Int64(bitPattern: name.number(segmentSize: size)))
            }
        }
        try summarize(names, size)
    }

    private func openLeft(_ set: SegmentSet, _ size: UInt32) throws -> [SegmentName] {
        let statement = try database.prepare(
            "SELECT timeline, number FROM segment INDEXED BY segment_notable WHERE (link <> 1 OR state <> 0) AND link = 0"
        )
        var names: [SegmentName] = []
        while try statement.step() {
            names.append(try statement.segment(0, 1, size))
        }
        return names.filter { set.contains($0) }
    }

    /// The segment whose records `name` continues, if it is archived.
    func predecessor(of name: SegmentName, in set: SegmentSet, _ genealogy: Genealogy) -> SegmentName? {
        genealogy.predecessor(of: name).flatMap { set.contains($0) ? $0 : nil }
    }

    /// Whether one of `fresh` is the predecessor of a segment, or comes before predecessors in which no record starts.
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

    /// The segments that follow one of `fresh`, also after segments in which no record starts; and of timelines whose
    /// history changed, the first segments and those in which the timeline begins: their predecessors may be others
    /// now.
    private func successors(
        of fresh: Set<SegmentName>, _ told: [TimelineID: Set<LSN>], in set: SegmentSet, _ genealogy: Genealogy
    ) throws -> Set<SegmentName> {
        let size = set.segmentSize
        var first: [SegmentName] = []
        for timeline in set.timelines {
            first += set.runs(of: timeline).map {
                SegmentName(timeline: timeline, number: $0.lowerBound, segmentSize: size)
            }
        }
        func next(_ name: SegmentName) -> [SegmentName] {
            first.filter { $0.timeline != name.timeline && predecessor(of: $0, in: set, genealogy) == name }
                + [name.next(segmentSize: size)].filter {
                    set.contains($0) && predecessor(of: $0, in: set, genealogy) == name
                }
        }
        let forks = told.flatMap { timeline, points in
            points.map { SegmentName(timeline: timeline, containing: $0, segmentSize: size) }
        }
        var found = Set(
            (first.filter { told[$0.timeline] != nil } + forks).filter { set.contains($0) && !fresh.contains($0) })
        var queue = first.filter { predecessor(of: $0, in: set, genealogy).map(fresh.contains) ?? false }
        for name in fresh {
            let after = name.next(segmentSize: size)
            if !fresh.contains(after), set.contains(after) { queue.append(after) }
        }
        while let name = queue.popLast() {
            guard !fresh.contains(name), found.insert(name).inserted || told[name.timeline] != nil else { continue }
            guard let row = try segment(name), row.state == .read, row.firstRecord == nil else { continue }
            queue += next(name).filter { !found.contains($0) }
        }
        return found
    }
}

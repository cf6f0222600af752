import Platform
import Repository
import SQLite
import WAL

/// Reads heads into the catalog, and links each segment to the one before.
extension Catalog {
    /// The contents of a segment's head.
    private struct Head: Sendable {
        let name: SegmentName
        var storedBytes: Int64 = 0
        var summary: SegmentSummary?
        var problem: String?
        var state = SegmentRow.State.read
        /// Removed since it was listed.
        var isGone = false
    }

    /// What a reading leaves to be done.
    struct Reading {
        /// Segments that the next synchronization must read again.
        var again: Set<SegmentName> = []
        /// Segments that were removed before they could be read.
        var gone: Set<SegmentName> = []
    }

    /// Reads segments in a transaction, and commits whenever the catalog is correct as it stands: when the segments
    /// that are left will be read by the next synchronization in any case.
    ///
    /// - Parameters:
    ///   - fresh: the new and the changed ones; the others are only linked to their predecessors again.
    ///   - known: the segments in the catalog.
    ///   - set: the segments that will be in it.
    func read(
        _ names: [SegmentName], _ fresh: Set<SegmentName>, beside known: SegmentSet, in set: SegmentSet,
        _ genealogy: Genealogy, _ marks: [SegmentName: Int64], jobs: Int, progress: (Int, Int) -> Void
    ) throws -> Reading {
        var reading = Reading()
        guard !names.isEmpty else { return reading }
        let size = set.segmentSize
        let archive = archive
        var (known, set) = (known, set)
        let rejoined = (names.lastIndex { !fresh.contains($0) } ?? -1) + 1
        var chain = Chain()
        var batch: [(row: SegmentRow, events: [EventRow])] = []
        var done = 0
        try mapInOrder(
            names, workers: names.count < 4 ? 1 : max(1, jobs), ahead: 64,
            transform: { name in try Catalog.head(of: name, archive) },
            consume: { head in
                if head.isGone || !head.state.isSettled {
                    reading.again.insert(head.name)
                    // Its open transactions are needed when the segment can be read later.
                    if let last = chain.last { try save(chain, after: last, size) }
                }
                if head.isGone {
                    reading.gone.insert(head.name)
                    set.remove(head.name)
                    known.remove(head.name)
                    try remove([head.name], size)
                    chain = Chain()
                } else if let before = predecessor(of: head.name, in: set, genealogy) {
                    if chain.last != before { chain = try resume(after: before, in: set, genealogy) }
                } else {
                    chain = Chain()
                }
                if !head.isGone {
                    batch.append(try row(for: head, &chain, &reading, size: size))
                    chain.last = head.name
                }
                done += 1
                let isFull = batch.count == batchSize || done == names.count
                // The open transactions at the end of a run are kept for the segment that will follow.
                if !head.isGone, isFull || names[done] != head.name.next(segmentSize: size) {
                    try save(chain, after: head.name, size)
                }
                guard isFull else { return }
                try write(batch, marks, size, again: reading.again)
                for entry in batch { known.insert(entry.row.name) }
                batch = []
                if done >= rejoined, done < names.count {
                    try write(runsOf: known)
                    try database.commitSoFar()
                }
                progress(done, names.count)
            })
        return reading
    }

    private static func head(of name: SegmentName, _ archive: ClusterArchive) throws -> Head {
        var head = Head(name: name)
        do {
            let stored = try archive.stored(name)
            head.storedBytes = stored.storedLength
            head.summary = try stored.summary()
            if head.summary == nil {
                head.state = .unread
                head.problem = "It was stored unread: tidemark did not know its PostgreSQL version."
            }
        } catch is ObjectAbsent {
            head.isGone = true
        } catch let error as ObjectDamaged {
            (head.state, head.problem) = (.damaged, error.reason)
        } catch let error as UnsupportedFormat {
            (head.state, head.problem) = (.unread, error.objectFault)
        } catch let error as BadSummary {
            (head.state, head.problem) = (.damaged, error.description)
        } catch let error as any Explained where error.concernsOneObject {
            // The others may be whole, and a recovery may need only those.
            (head.state, head.problem) = (.unavailable, error.objectFault)
        }
        return head
    }

    /// The state carried from one consecutive segment to the next.
    struct Chain {
        var last: SegmentName?
        var continuity = Continuity()
        /// Whether the last segment could be read.
        var isKnown = false
        /// Open transactions, by XID.
        var open: [UInt32: OpenTransaction] = [:]
    }

    /// The chain after a segment that is in the catalog already.
    private func resume(
        after name: SegmentName, in set: SegmentSet, _ genealogy: Genealogy
    ) throws -> Chain {
        var chain = Chain()
        chain.last = name
        var summaries: [SegmentSummary] = []
        var next: SegmentName? = name
        // The record may have begun several segments earlier.
        while let name = next, let summary = try Catalog.head(of: name, archive).summary {
            summaries.append(summary)
            if summary.firstRecord != nil { break }
            next = predecessor(of: name, in: set, genealogy)
        }
        for summary in summaries.reversed() { _ = chain.continuity.add(summary) }
        chain.isKnown = !summaries.isEmpty
        let statement = try database.prepare("SELECT facts FROM open WHERE timeline = ? AND number = ?")
        try statement.bind([
            Int64(name.timeline.rawValue), Int64(bitPattern: name.number(segmentSize: set.segmentSize)),
        ])
        if try statement.step(), let facts = try? SegmentFacts(decoding: statement.blob(0)) {
            for transaction in facts.openTransactions { chain.open[transaction.xid] = transaction }
        } else if let summary = summaries.first {
            for transaction in summary.facts.openTransactions { chain.open[transaction.xid] = transaction }
        }
        return chain
    }

    private func save(_ chain: Chain, after name: SegmentName, _ size: UInt32) throws {
        var facts = SegmentFacts()
        facts.openTransactions = chain.open.values.sorted { $0.xid < $1.xid }
        try database.run(
            "INSERT OR REPLACE INTO open (timeline, number, facts) VALUES (?, ?, ?)", Int64(name.timeline.rawValue),
            Int64(bitPattern: name.number(segmentSize: size)), facts.encode())
    }

    private func row(
        for head: Head, _ chain: inout Chain, _ reading: inout Reading, size: UInt32
    ) throws -> (row: SegmentRow, events: [EventRow]) {
        var row = SegmentRow(
            name: head.name, storedBytes: head.storedBytes, state: head.state, link: .open, problem: head.problem)
        guard var summary = head.summary else {
            row.link = chain.last == nil ? .open : .unknowable
            chain.continuity = Continuity()
            chain.isKnown = false
            return (row, [])
        }
        let hasPredecessor = chain.last != nil
        var facts: [SegmentFacts] = []
        let join = chain.continuity.add(trimming: &summary, mayEndEarly: false)
        row.add(summary)
        switch join {
        case .open: row.link = hasPredecessor ? .unknowable : .open
        case .joined(let boundary):
            row.link = .joined
            if boundary == nil, let head = summary.head, head.length == head.missing { row.link = .open }
            if let boundary {
                let its: SegmentFacts?
                do { its = try boundary.facts ?? longBoundary(boundary, into: head.name, size: size) } catch let error
                    as any Explained where error.concernsOneObject
                {
                    its = nil
                    reading.again.insert(head.name)
                }
                row.prepend(boundary, its)
                if let its { facts.append(its) }
            }
        case .broken(let link):
            row.link = .broken
            row.problem = link.detail ?? link.message
        }
        chain.isKnown = true
        facts.append(summary.facts)
        let number = head.name.number(segmentSize: size)
        let events = facts.flatMap { facts in
            EventRow.rows(of: chain.completed(facts), timeline: head.name.timeline, segment: number)
        }
        return (row, events)
    }

    /// The content of a boundary record that was too long for the summaries.
    private func longBoundary(
        _ boundary: BoundaryRecord, into name: SegmentName, size: UInt32
    ) throws -> SegmentFacts? {
        guard [ResourceManager.transaction, .storage, .database, .standby].contains(boundary.header.manager) else {
            return nil
        }
        let genealogy = try genealogy()
        var names = [name]
        let first = boundary.header.lsn.rawValue / UInt64(size)
        while let earliest = names.first, earliest.number(segmentSize: size) > first {
            guard let before = genealogy.predecessor(of: earliest) else { return nil }
            names.insert(before, at: 0)
        }
        var found: SegmentFacts?
        var walk = RecordWalk()
        var decompressor = try Decompressor()
        for name in names {
            let stored = try archive.stored(name)
            walk.begin(name, length: stored.head.rawLength, contents: stored.contents)
            try stored.extract(with: &decompressor) { bytes in
                try walk.feed(RawSpan(_unsafeBytes: bytes)) { record in
                    if record.lsn == boundary.header.lsn { found = SegmentFacts(record) }
                    return record.lsn >= boundary.header.lsn ? .stop : .more
                }
            }
        }
        return found
    }

    private func write(
        _ batch: [(row: SegmentRow, events: [EventRow])], _ marks: [SegmentName: Int64], _ size: UInt32,
        again: Set<SegmentName>
    ) throws {
        let rows = try database.prepare(SegmentRow.insertion)
        let clear = try database.prepare("DELETE FROM event WHERE timeline = ? AND number = ?")
        let events = try database.prepare(EventRow.insertion)
        let objects = try database.prepare("INSERT OR REPLACE INTO object (timeline, number, mark) VALUES (?, ?, ?)")
        let forget = try database.prepare("DELETE FROM object WHERE timeline = ? AND number = ?")
        for entry in batch {
            let timeline = Int64(entry.row.name.timeline.rawValue)
            let number = Int64(bitPattern: entry.row.name.number(segmentSize: size))
            try entry.row.insert(with: rows, segmentSize: size)
            // Without its mark it counts as another object.
            if again.contains(entry.row.name) {
                try forget.run(timeline, number)
            } else if let mark = marks[entry.row.name] {
                try objects.run(timeline, number, mark)
            }
            try clear.run(timeline, number)
            for event in entry.events { try event.insert(with: events) }
        }
        try summarize(batch.map(\.row.name), size)
    }
}

extension Catalog.Chain {
    /// The most open transactions that are kept.
    private static let mostOpen = 1000

    /// The facts, completed with those of the same transactions in earlier segments; keeps the transactions that stay
    /// open.
    mutating func completed(_ facts: SegmentFacts) -> SegmentFacts {
        var facts = facts
        facts.removals = facts.removals.map { removal in
            guard let earlier = open.removeValue(forKey: removal.transaction.xid) else { return removal }
            return removal.knowing(earlier)
        }
        for transaction in facts.openTransactions {
            let earlier = open[transaction.xid]
            open[transaction.xid] = OpenTransaction(
                xid: transaction.xid, locks: transaction.locks.added(to: earlier?.locks ?? []),
                createdFiles: transaction.createdFiles.added(to: earlier?.createdFiles ?? []))
        }
        if open.count > Catalog.Chain.mostOpen {
            for xid in open.keys.sorted().prefix(open.count - Catalog.Chain.mostOpen) { open[xid] = nil }
        }
        return facts
    }
}

extension Array where Element: Equatable {
    /// `earlier`, followed by the elements that aren't in it.
    fileprivate func added(to earlier: [Element]) -> [Element] { earlier + filter { !earlier.contains($0) } }
}

import Platform
public import WAL

// Several servers may archive the same segment, one of them with more records than another: each promoted server leaves
// a `.partial`, and a segment may be archived whose timeline was left before it was full. A whole object is never
// replaced, so a later copy is stored beside the first, as `<file>.2.zst`, `<file>.3.zst` and so on. A segment that was
// completed has one copy. Backup history files of one name may differ, too; only people read them.

extension Incarnation {
    /// The key of a further copy of a segment, `.partial` or backup history file; the first copy has the file's own
    /// key.
    public func key(for file: ArchiveFileName, copy number: Int) -> RepositoryKey {
        let first = key(for: file)
        return number < 2 ? first : first.folder.appending("\(file).\(number).zst")
    }
}

extension ClusterArchive {
    /// A file from PostgreSQL's archiver; of a segment with several copies the one with the most records.
    ///
    /// One object is opened, unless it is a `.partial`, a segment whose timeline was left in it, or damaged. A damaged
    /// copy hides no other one, unless it is known to have had more records.
    /// - Throws: `ObjectAbsent`, `ObjectDamaged`, `UnsupportedFormat`, and what the store throws.
    public func stored(_ file: ArchiveFileName) throws -> StoredSegment {
        guard let segment = file.segmentName else { return try StoredSegment(incarnation.key(for: file), in: store) }
        let (copies, headless) = try readableCopies(of: file)
        if copies.count == 1, headless.isEmpty, !file.isPartial, !copies[0].head.isLeft { return copies[0] }
        var damage = headless.first
        var best: (copy: StoredSegment, end: LSN)?
        for copy in copies {
            do {
                let end = try copy.recordsEnd(segment)
                if best.map({ end > $0.end }) ?? true { best = (copy, end) }
            } catch let damaged as ObjectDamaged { damage = damage ?? damaged }
        }
        guard var best else { throw damage ?? ObjectAbsent(key: incarnation.key(for: file), location: store.location) }
        if file.isPartial { return best.copy }
        // A segment's further copies are stored because they have more records than those before them.
        let number = ArchiveFileName.object(best.copy.key.name)?.copy ?? 1
        if let longer = headless.first(where: { (ArchiveFileName.object($0.key.name)?.copy ?? 1) > number }) {
            throw longer
        }
        // A server that was promoted leaves a `.partial` of the same segment, which may have more of these records.
        for copy in try readableCopies(of: .partial(segment)).copies {
            let end: LSN
            do { end = try copy.recordsEnd(segment) } catch is ObjectDamaged { continue }
            if end > best.end, try copy.agrees(with: best.copy, segment, until: best.end) { best = (copy, end) }
        }
        return best.copy
    }

    public func stored(_ segment: SegmentName) throws -> StoredSegment {
        try stored(.segment(segment))
    }

    /// Every copy of a segment or `.partial`, in the order in which they came; empty when there is none.
    public func copies(of file: ArchiveFileName) throws -> [StoredSegment] {
        let first: StoredSegment
        do { first = try StoredSegment(incarnation.key(for: file), in: store) } catch is ObjectAbsent { return [] }
        guard file.isPartial || first.head.isLeft else { return [first] }
        return try [first] + furtherCopies(of: file)
    }

    /// As `copies`, but returns the names of those whose head can't be read, instead of failing.
    public func readableCopies(of file: ArchiveFileName) throws
        -> (copies: [StoredSegment], headless: [ObjectDamaged])
    {
        var copies: [StoredSegment] = []
        var headless: [ObjectDamaged] = []
        for number in 1... {
            do {
                let copy = try StoredSegment(incarnation.key(for: file, copy: number), in: store)
                copies.append(copy)
                if number == 1, !file.isPartial, !copy.head.isLeft { break }
            } catch let damage as ObjectDamaged {
                headless.append(damage)
            } catch is ObjectAbsent { break }
        }
        return (copies, headless)
    }

    private func furtherCopies(of file: ArchiveFileName) throws -> [StoredSegment] {
        var copies: [StoredSegment] = []
        while true {
            do {
                copies.append(try StoredSegment(incarnation.key(for: file, copy: copies.count + 2), in: store))
            } catch is ObjectAbsent { return copies }
        }
    }
}

extension StoredSegment {
    /// How the segment's records are read: a segment whose timeline was left in it may end early.
    public var contents: SegmentContents {
        head.isLeft || ArchiveFileName.object(key.name)?.file.isPartial == true ? .partial : .completed
    }

    /// The summary of the segment's records; nil when it was stored unread.
    /// - Throws: `BadSummary`, `UnsupportedFormat`.
    public func summary() throws -> SegmentSummary? { try head.decodedSummary(of: key) }

    /// As `summary`, but reads a segment that was stored unread, or whose summary a later version wrote, as a file that
    /// may end early.
    public func summary(reading segment: SegmentName) throws -> SegmentSummary {
        do { if let summary = try summary() { return summary } } catch is UnsupportedFormat {}
        return try scan(segment)
    }

    /// The summary of the segment's own bytes, read as a file that may end early.
    /// - Throws: `WALDamage`, `ObjectDamaged`, and what the store throws.
    public func scan(_ segment: SegmentName) throws -> SegmentSummary {
        var scanner = SegmentScanner(name: segment, length: head.rawLength, contents: .partial)
        var decompressor = try Decompressor()
        try extract(with: &decompressor) { try scanner.feed(RawSpan(_unsafeBytes: $0)) }
        return try scanner.finish()
    }

    /// Whether both hold the same bytes before `end`.
    fileprivate func agrees(with other: StoredSegment, _ segment: SegmentName, until end: LSN) throws -> Bool {
        guard head.rawLength == other.head.rawLength, let size = UInt32(exactly: head.rawLength) else { return false }
        let start = segment.start(segmentSize: size)
        guard end > start else { return true }
        return try digest(first: end - start) == other.digest(first: end - start)
    }

    private func digest(first count: UInt64) throws -> Digest {
        var digester = Digester()
        var rest = count
        var decompressor = try Decompressor()
        try extract(with: &decompressor) { piece in
            let wanted = Int(min(rest, UInt64(piece.count)))
            digester.update(UnsafeRawBufferPointer(rebasing: piece[..<wanted]))
            rest -= UInt64(wanted)
        }
        return digester.finish()
    }

    fileprivate func recordsEnd(_ segment: SegmentName) throws -> LSN {
        do { return try summary(reading: segment).recordsEnd } catch is WALDamage { return .zero }
    }
}

extension ArchiveFileName {
    public var isPartial: Bool { if case .partial = self { true } else { false } }

    /// The segment whose bytes the file holds, for a segment or a `.partial`.
    public var segmentName: SegmentName? {
        switch self {
        case .segment(let name), .partial(let name): name
        case .history, .backupHistory: nil
        }
    }

    /// The segment that the file is, or belongs to; nil for a history.
    public var place: SegmentName? {
        switch self {
        case .segment(let name), .partial(let name), .backupHistory(let name, _): name
        case .history: nil
        }
    }

    /// Reads the name of an object in a WAL folder, `<file>.zst` or `<file>.<n>.zst`.
    public static func object(_ name: String) -> (file: ArchiveFileName, copy: Int)? {
        guard name.hasSuffix(".zst") else { return nil }
        let file = name.dropLast(4)
        if let found = ArchiveFileName(String(file)) { return (found, 1) }
        guard let dot = file.lastIndex(of: "."), let number = Int(file[file.index(after: dot)...]), number > 1,
            let found = ArchiveFileName(String(file[..<dot])), found.place != nil,
            name == "\(found).\(number).zst"
        else { return nil }
        return (found, number)
    }
}

import Platform
public import Repository
public import WAL

/// How the records of two copies of one segment differ.
///
/// Two copies whose records agree as far as the shorter one goes are no conflict: they come from servers of which one
/// received or wrote less than the other. Only a difference within the records of both is one.
struct SegmentComparison {
    enum Verdict: Equatable {
        /// All records of the offered file are in the stored one.
        case offersNothing
        /// All records of the stored file are in the offered one, which has more.
        case offersMore
        case contradicts
        /// One of them can't be read, so that nothing is known of its records.
        case unknown
    }
    let verdict: Verdict
    /// A record of the offered file is damaged: pages after the last valid one belong to the segment.
    let isDamaged: Bool
    /// The offered file was read, and there is no whole record of the segment in it.
    let offersNoRecord: Bool
    /// Bytes from the start of the file.
    let firstDifference: UInt64
    /// That place in the WAL, when it is known.
    let position: LSN?
    /// Why the WAL before the segment could not be read; what is left of a file's earlier content may count as its records
    /// then.
    let obstacle: (any Error)?

    /// - Parameter before: knows the WAL before the segment, without which the first record can't be judged.
    init(_ stored: StoredSegment, _ local: LocalFile, _ segment: SegmentName, before: Predecessor) throws {
        firstDifference = try offsetOfFirstDifference(stored, local)
        var archived: SegmentSummary?
        do { archived = try stored.summary(reading: segment) } catch is WALDamage {} catch is BadSummary {}
        var obstacles: [any Error] = []
        if stored.contents == .partial, archived != nil {
            if let obstacle = before.trim(&archived!, of: segment) { obstacles.append(obstacle) }
        }
        let scanned = try SegmentComparison.scan(local, segment)
        var offered = scanned?.summary
        if offered != nil, let obstacle = before.trim(&offered!, of: segment) { obstacles.append(obstacle) }
        obstacle = obstacles.first
        isDamaged = scanned?.endsCleanly == false
        offersNoRecord = offered.map { $0.recordsEnd <= $0.start } ?? false
        let difference = firstDifference
        position = (archived ?? offered).map { $0.start + difference }
        guard let archived, let offered, archived.segmentSize == offered.segmentSize,
            archived.systemIdentifier == offered.systemIdentifier,
            // Without one valid record nothing tells that it is the same WAL.
            offered.recordsEnd > offered.start
        else {
            verdict = .unknown
            return
        }
        let shorter = min(archived.recordsEnd, offered.recordsEnd)
        if difference < shorter - archived.start {
            verdict = .contradicts
        } else {
            verdict = offered.recordsEnd <= archived.recordsEnd ? .offersNothing : .offersMore
        }
    }

    /// Whether the records of both are known to differ.
    /// - Throws: what kept the WAL before them from being read, where that may be why they seem to: it may pass.
    func contradicts() throws -> Bool {
        guard verdict == .contradicts else { return false }
        if let obstacle = obstacle as? SystemError { throw obstacle }
        return true
    }

    /// What can be learned of a file, by the rules for files that may end early; nil when it isn't WAL of this segment.
    static func scan(
        _ local: LocalFile, _ segment: SegmentName
    ) throws -> (summary: SegmentSummary, endsCleanly: Bool)? {
        var scanner = SegmentScanner(name: segment, length: UInt64(local.size), contents: .partial)
        do {
            try local.forEachPiece { try scanner.feed($0.bytes) }
            let endsCleanly = scanner.endsCleanly
            return (try scanner.finish(), endsCleanly)
        } catch is WALDamage { return nil }
    }
}

/// Takes out of the summary of a file that may end early what does not go on from the WAL before it, in the repository
/// or beside it.
public func trim(_ summary: inout SegmentSummary, of segment: SegmentName, at path: String, _ archive: ClusterArchive) {
    Predecessor(archive: archive, directory: Files.parent(path)).trim(&summary, of: segment)
}

/// Whether every record of a server's segment is in the repository: its content tells, not its name. A damaged copy has none.
public func isArchived(_ path: String, _ segment: SegmentName, of archive: ClusterArchive) throws -> Bool {
    let local = try LocalFile(path)
    let before = Predecessor(archive: archive, directory: Files.parent(path))
    return try archive.readableCopies(of: .segment(segment)).copies.contains { copy in
        do {
            let comparison = try SegmentComparison(copy, local, segment, before: before)
            switch comparison.verdict {
            case .offersNothing: return true
            case .unknown: return comparison.firstDifference >= UInt64(local.size)
            case .offersMore, .contradicts: return false
            }
        } catch is ObjectDamaged { return false }
    }
}

/// Whether the repository has another server's segment under a name, and this one's in no copy. A damaged copy tells nothing.
public func isContradicted(_ path: String, _ segment: SegmentName, of archive: ClusterArchive) throws -> Bool {
    do {
        return try isContradicted(path, segment, by: archive.copies(of: .segment(segment)), archive)
    } catch is ObjectDamaged { return false }
}

/// The same for copies that may be elsewhere.
func isContradicted(
    _ path: String, _ segment: SegmentName, by copies: [StoredSegment], _ archive: ClusterArchive
) throws -> Bool {
    let local = try LocalFile(path)
    let before = Predecessor(archive: archive, directory: Files.parent(path))
    do {
        var digester = Digester()
        try local.forEachPiece { digester.update($0) }
        let digest = digester.finish()
        guard !copies.isEmpty, !copies.contains(where: { $0.head.digest == digest }) else { return false }
        return try copies.allSatisfy { copy in
            let comparison = try SegmentComparison(copy, local, segment, before: before)
            return try comparison.contradicts() || differs(from: copy, comparison, local, segment)
        }
    } catch is ObjectDamaged { return false }
}

/// Whether two finished segments have different records. What is archived of the WAL before them may be another server's
/// as well, and tells nothing of this one's.
private func differs(
    from copy: StoredSegment, _ comparison: SegmentComparison, _ local: LocalFile, _ segment: SegmentName
) throws -> Bool {
    guard comparison.verdict == .unknown, copy.contents == .completed else { return false }
    var scanner = SegmentScanner(name: segment, length: UInt64(local.size))
    do {
        try local.forEachPiece { try scanner.feed($0.bytes) }
        let archived = try copy.summary(reading: segment)
        let own = try scanner.finish()
        return comparison.firstDifference < min(archived.recordsEnd, own.recordsEnd) - own.start
    } catch is WALDamage { return false } catch is BadSummary { return false }
}

/// A file is damaged whose records are all in the repository, in an intact copy.
struct DamagedHere: Explained {
    let file: String
    let offset: UInt64
    var message: String { "\"\(file)\" is damaged at offset \(offset), but the archived copy of it is intact" }
    var hint: String? { "Nothing is lost. The disk or the memory of this machine may be failing." }
}

/// Where a stored file and another one begin to differ; the shorter one's length when they don't as far as that goes.
func offsetOfFirstDifference(_ stored: StoredSegment, _ local: LocalFile) throws -> UInt64 {
    struct Found: Error { let offset: UInt64 }
    let window = UnsafeMutableRawBufferPointer.allocate(byteCount: 2 << 20, alignment: 4096)
    defer { window.deallocate() }
    var offset: UInt64 = 0
    var decompressor = try Decompressor()
    do {
        try stored.extract(with: &decompressor) { piece in
            let count = try local.read(
                into: UnsafeMutableRawBufferPointer(rebasing: window[..<piece.count]), at: Int64(offset))
            for index in 0..<count where window[index] != piece[index] {
                throw Found(offset: offset + UInt64(index))
            }
            offset += UInt64(count)
            if count < piece.count { throw Found(offset: offset) }
        }
    } catch let found as Found {
        return found.offset
    }
    return offset
}

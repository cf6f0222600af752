import Platform
public import Repository
public import WAL

/// How the records of two copies of one segment differ.
///
/// Copies whose records agree up to the end of the shorter one don't conflict: one server received or wrote less than
/// the other. Only a difference within the records of both is a conflict.
struct SegmentComparison {
    enum Verdict: Equatable {
        /// All records of the offered file are in the stored one.
        case offersNothing
        /// All records of the stored file are in the offered one, which has more.
        case offersMore
        case contradicts
        /// One of them can't be read, so its records aren't known.
        case unknown
    }
    let verdict: Verdict
    /// A record of the offered file is damaged: pages after the last valid one belong to the segment.
    let isDamaged: Bool
    /// The offered file was read, and has no whole record of the segment.
    let offersNoRecord: Bool
    /// Bytes from the start of the file.
    let firstDifference: UInt64
    /// Its place in the WAL, if known.
    let position: LSN?
    /// Why the WAL before the segment could not be read; then old content of a file may count as its records.
    let obstacle: (any Error)?

    /// - Parameter before: finds the WAL before the segment, without which the first record can't be judged.
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
            // Without one valid record nothing shows that it is the same WAL.
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
    /// - Throws: the error that kept the WAL before them from being read, where that may be why they seem to differ: it
    ///   may be transient.
    func contradicts() throws -> Bool {
        guard verdict == .contradicts else { return false }
        if let obstacle = obstacle as? SystemError { throw obstacle }
        return true
    }

    /// The summary of a file, by the rules for files that may end early; nil when it isn't WAL of this segment.
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

/// Removes from the summary of a file that may end early the records that don't continue the WAL before them, in the
/// repository or beside the file.
public func trim(_ summary: inout SegmentSummary, of segment: SegmentName, at path: String, _ archive: ClusterArchive) {
    Predecessor(archive: archive, directory: Files.parent(path)).trim(&summary, of: segment)
}

/// Whether every record of a server's segment is in the repository, by content, not by name. A damaged copy has none.
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

/// Whether the repository has another server's segment under a name, and no copy of this one. Damaged copies don't
/// count.
public func isContradicted(_ path: String, _ segment: SegmentName, of archive: ClusterArchive) throws -> Bool {
    do {
        return try isContradicted(path, segment, by: archive.copies(of: .segment(segment)), archive)
    } catch is ObjectDamaged { return false }
}

/// As above, for copies that may be elsewhere.
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

/// Whether two finished segments have different records. The archived WAL before them may be another server's as well,
/// so it isn't used.
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

/// A server's file is damaged, but all its records are in the repository, in an intact copy.
struct DamagedHere: Explained {
    let file: String
    let offset: UInt64
    var message: String { "\"\(file)\" is damaged at offset \(offset), but the archived copy of it is intact" }
    var hint: String? { "Nothing is lost. The disk or the memory of this machine may be failing." }
}

/// Where a stored file and another one begin to differ; the length of the shorter one when they don't within it.
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

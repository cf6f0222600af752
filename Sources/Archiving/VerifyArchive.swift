import Platform
public import Repository
public import WAL

/// The result of verifying an archive.
public struct ArchiveVerification: Sendable {
    public var segments = 0
    /// Bytes of the segments, and of the objects that hold them.
    public var bytes: UInt64 = 0
    public var storedBytes: Int64 = 0
    public var records: UInt64 = 0
    /// Histories, backup labels and partial segments.
    public var otherFiles = 0
    /// Segments of PostgreSQL versions this program can't read: only their checksums were verified.
    public var unread = 0
    public var problems: [ArchiveProblem] = []
}

/// Reads stored WAL again: verifies every object's checksums, every page and record, and that each segment continues
/// the one before it. Reports all problems; changes nothing.
/// - Parameters:
///   - range: only segments with a byte of it; nil reads all of them, and the other files.
///   - expired: what of the WAL is not there on purpose; asked only when something isn't there.
///   - backups: what complete backups need.
///   - jobs: how many segments are read at once.
///   - progress: gets how many have been read, and of how many. What it throws ends the verification.
public func verifyArchive(
    of archive: ClusterArchive, range: ClosedRange<LSN>? = nil,
    expired: (_ segmentSize: UInt32) throws -> SegmentSet = { SegmentSet(segmentSize: $0) },
    backups: [BackupWAL] = [], jobs: Int,
    progress: (Int, Int) throws -> Void = { _, _ in }
) throws -> ArchiveVerification {
    var verification = ArchiveVerification()
    let listing = try ArchiveListing(of: archive)
    var names = listing.names
    if let range {
        names.removeAll {
            $0.start(segmentSize: listing.segmentSize) > range.upperBound
                || $0.end(segmentSize: listing.segmentSize) <= range.lowerBound
        }
    } else {
        for timeline in try archive.timelines() {
            try verifyOthers(timeline, archive, &verification)
        }
    }
    if range == nil {
        let lost = try archive.lostHistories(
            among: SegmentSet(listing.names, segmentSize: listing.segmentSize),
            known: Set(try archive.histories()).union(try archive.readableHistories().keys))
        verification.problems += lost.map { ArchiveProblem($0) }
    }
    var chain = ChainCheck(archive, listing.genealogy)
    var done = 0
    var gone: [SegmentName] = []
    try mapInOrder(
        names, workers: max(1, jobs), ahead: max(2, jobs) * 2,
        transform: { name in try Examination(of: name, archive) },
        consume: { examination in
            done += 1
            if try examination.isAbsent && archive.isConfirmed() {
                gone.append(examination.name)
                _ = try chain.add(examination.name, nil)
                return try progress(done, names.count)
            }
            verification.segments += 1
            verification.bytes += examination.bytes
            verification.storedBytes += examination.storedBytes
            verification.records += examination.summary?.facts.records ?? 0
            if examination.isUnread { verification.unread += 1 }
            verification.problems += examination.problems
            verification.problems += try chain.add(examination.name, examination.summary)
            try progress(done, names.count)
        })
    // Segments removed meanwhile are missing only if nobody removed them on purpose.
    let now = gone.isEmpty ? listing : try ArchiveListing(of: archive)
    let gaps = try now.gaps(expired: expired, backups)
    for gap in gaps where range.map({ gap.from <= $0.upperBound && gap.to > $0.lowerBound }) ?? true {
        verification.problems.append(ArchiveProblem(gap))
    }
    verification.problems += try lost(gone, gaps, archive, expired: expired)
    return verification
}

/// The segments that disappeared while others were read, that nobody removed or put aside on purpose, and that are in
/// none of the gaps.
private func lost(
    _ gone: [SegmentName], _ gaps: [LineageGap], _ archive: ClusterArchive,
    expired: (_ segmentSize: UInt32) throws -> SegmentSet
) throws -> [ArchiveProblem] {
    guard !gone.isEmpty else { return [] }
    let removed = try expired(ArchiveListing(of: archive).segmentSize)
    let aside = Set(
        try archive.readableAsideFolders().flatMap { try archive.readableObjects(of: $0) ?? [] }.map(\.file))
    return try gone.filter { name in
        let file = ArchiveFileName.segment(name)
        return try !removed.contains(name) && !aside.contains(file) && !gaps.contains { $0.contains(file) }
            && !archive.has(file)
    }.map {
        ArchiveProblem(ObjectAbsent(key: archive.key(for: .segment($0)), location: archive.store.location), segment: $0)
    }
}

/// What is wrong with one stored segment when it is read again; nil when nothing is, or when it is absent.
public func damage(of name: SegmentName, _ archive: ClusterArchive) throws -> ArchiveProblem? {
    guard try archive.store.size(of: archive.key(for: .segment(name))) != nil else { return nil }
    return try Examination(of: name, archive).problems.first
}

/// Why no server would get a segment that is there: its stored bytes are damaged, or can't be read. Nil for one that
/// isn't there. Reads the whole object, and decompresses nothing.
/// - Parameter file: the segment, or its `.partial`.
public func deliveryFault(of file: ArchiveFileName, _ archive: ClusterArchive) throws -> WALBreak? {
    guard let name = file.segmentName else { return nil }
    do { try archive.stored(file).prove() } catch is ObjectAbsent {
        return nil
    } catch let error as ObjectDamaged {
        return WALBreak(name, isLink: false, reason: error.reason)
    } catch let error as any Explained where error.concernsOneObject {
        return WALBreak(name, isLink: false, reason: error.objectFault)
    }
    return nil
}

/// Reads one segment again.
private struct Examination: Sendable {
    let name: SegmentName
    var bytes: UInt64 = 0
    var storedBytes: Int64 = 0
    var summary: SegmentSummary?
    var isUnread = false
    /// The segment has been removed.
    var isAbsent = false
    var problems: [ArchiveProblem] = []

    /// - Throws: what says nothing about the segment.
    init(of name: SegmentName, _ archive: ClusterArchive) throws {
        self.name = name
        do {
            try read(archive)
        } catch let error as WALDamage {
            if case .unknownVersion = error.reason { isUnread = true } else { report(error) }
        } catch {
            if (error as? any Explained)?.isOwnShortage == true { throw error }
            isAbsent = error is ObjectAbsent
            report(error)
        }
    }

    private mutating func report(_ error: any Error) { problems.append(ArchiveProblem(error, segment: name)) }

    private mutating func read(_ archive: ClusterArchive) throws {
        let stored = try archive.stored(name)
        (bytes, storedBytes) = (stored.head.rawLength, stored.storedLength)
        var scanner: SegmentScanner? = SegmentScanner(
            name: name, length: stored.head.rawLength, contents: stored.contents,
            systemIdentifier: archive.incarnation.systemIdentifier)
        var damage: WALDamage?
        var decompressor = try Decompressor()
        // The object is read to its end even when a record is damaged: its checksum shows whether storage damaged it.
        try stored.extract(with: &decompressor) { piece in
            guard damage == nil else { return }
            do throws(WALDamage) { try scanner?.feed(RawSpan(_unsafeBytes: piece)) } catch { damage = error }
        }
        if let damage { throw damage }
        guard var found = try scanner.take()?.finish() else { return }
        let before = Predecessor(archive: archive)
        var obstacle: (any Error)?
        if stored.contents == .partial { obstacle = before.trim(&found, of: name) }
        summary = found
        guard var told = try stored.summary() else { return }
        // The previous segment may have been archived later.
        if stored.contents == .partial { obstacle = before.trim(&told, of: name) ?? obstacle }
        // An error in reading the previous segment is reported for that segment.
        guard obstacle == nil else { return }
        if told.start != found.start || told.end != found.end || told.facts.records != found.facts.records
            || told.facts.commits != found.facts.commits
        {
            problems.append(
                ArchiveProblem(
                    "the stored summary of WAL segment \"\(name)\" does not match the segment",
                    hint: "Plans and events that rest on it may be wrong.", segment: name, kind: .damage))
        }
    }
}

/// Histories, backup labels and partial segments: their checksums, and that the texts can be read.
private func verifyOthers(
    _ timeline: TimelineID, _ archive: ClusterArchive,
    _ verification: inout ArchiveVerification
) throws {
    var files: [(name: ArchiveFileName, copy: Int)] = []
    if try archive.has(.history(timeline)) { files.append((.history(timeline), 1)) }
    for folder in try archive.walFolders(of: timeline) {
        let all = try archive.files(in: folder)
        // Of several copies of a segment only the one with the most records was read.
        let copied = Set(all.filter { $0.copy > 1 }.map(\.file))
        for found in all {
            if case .segment = found.file, found.copy == 1, !copied.contains(found.file) { continue }
            files.append((found.file, found.copy))
        }
    }
    for (file, copy) in files {
        do {
            let stored = try StoredSegment(archive.key(for: file, copy: copy), in: archive.store)
            var text: [UInt8] = []
            var decompressor = try Decompressor()
            let isText = stored.head.rawLength <= 1 << 20
            try stored.extract(with: &decompressor) { if isText { text += $0 } }
            switch file {
            case .history, .backupHistory: try checkText(text, file)
            case .segment, .partial: break
            }
        } catch {
            // It was removed with the segments around it.
            if try error is ObjectAbsent && archive.isConfirmed() { continue }
            verification.problems.append(ArchiveProblem(error))
        }
        verification.otherFiles += 1
    }
}

import Platform
import Repository
import WAL

extension Push {
    /// How often the repository is read again because another process has changed what was found there.
    static let attempts = 8

    /// Stores a segment, or a `.partial` file: the last segment of a timeline, cut off by a promotion.
    ///
    /// - Parameters:
    ///   - presses: two make two threads share the work, one keeps it on this thread.
    ///   - batch: the segments that are being pushed at the same time.
    func push(
        _ local: LocalFile, _ name: ArchiveFileName, _ segment: SegmentName,
        presses: () throws -> [SegmentPress], batch: PushBatch? = nil
    ) throws -> Outcome {
        let page: FirstPage
        do { page = try firstPage(of: local, segment) } catch let damage as WALDamage {
            guard let left = try leftUnwritten(local, name, segment, damage) else { throw damage }
            warn(NothingWritten(segment: segment, left: left))
            return .unwritten
        }
        let archive = try archive(page, name)
        let place = SegmentPlace(file: name, segment: segment, page: page, archive: archive)
        // Another process may be faster with this copy, and then with the next one.
        for attempt in 1...Push.attempts {
            let folder: RepositoryKey
            do {
                switch try destination(local, place, batch) {
                case .confirmed: return .confirmed
                case .create(let key, let note):
                    try createAsHandedOver(key, local, place, presses: presses, in: batch)
                    if let note { warn(note) }
                    folder = key.folder
                case .replace(let key, let head):
                    try replaceDamaged(key, name, archive.incarnation) { replacement in
                        if let head {
                            try storeAgain(
                                key, local, place, head: head, presses: presses(), in: batch, replacing: replacement)
                        } else {
                            try createAsHandedOver(
                                key, local, place, presses: presses, in: batch, replacing: replacement)
                        }
                    }
                    folder = key.folder
                }
            } catch is ObjectExists { continue } catch is BeingReplaced where attempt < Push.attempts {
                Clock.sleep(milliseconds: 250)
                continue
            }
            if segment.place % 16 == 15 { sweep(folder) }
            clock.mark(.sync)
            return .stored
        }
        throw ObjectExists(key: archive.key(for: name), location: store.location)
    }

    /// Removes leftovers of killed processes from a folder; done at every sixteenth segment, since it costs a listing.
    private func sweep(_ folder: RepositoryKey) {
        for path in (try? store.removeLeftovers(in: folder)) ?? [] {
            warn(Problem("removed \"\(path)\", which a killed process had left"))
        }
    }

    private func firstPage(of local: LocalFile, _ segment: SegmentName) throws -> FirstPage {
        guard let page = try FirstPage(of: local) else {
            throw WALDamage(.notWAL, offset: 0, lsn: nil, segment: segment)
        }
        try page.check(is: segment, length: UInt64(local.size))
        return page
    }

    private func archive(_ page: FirstPage, _ name: ArchiveFileName) throws -> ClusterArchive {
        let subject = "segment \"\(name.description)\""
        if let version = WALVersion(magic: page.magic) {
            return try identity.archive(
                major: version.major, systemIdentifier: page.systemIdentifier, named: subject)
        }
        // A newer version than this program knows: only the data directory shows which.
        let archive = try ownArchive()
        guard archive.incarnation.systemIdentifier == page.systemIdentifier else {
            throw WALDamage(
                .systemIdentifier(found: page.systemIdentifier, expected: archive.incarnation.systemIdentifier),
                offset: 24,
                lsn: nil, segment: name.segmentName)
        }
        return archive
    }

    /// Stores a segment as a completed one; or, if it isn't complete and a history says that its timeline was left
    /// there, as one that ends early.
    private func createAsHandedOver(
        _ key: RepositoryKey, _ local: LocalFile, _ place: SegmentPlace, presses: () throws -> [SegmentPress],
        in batch: PushBatch?, replacing replacement: Replacement? = nil
    ) throws {
        func create(_ contents: SegmentContents, left: (timeline: LeftTimeline, refusal: any Error)? = nil) throws {
            try self.create(
                key, local, place, as: contents, left: left, presses: presses(), in: batch, replacing: replacement)
        }
        guard case .segment = place.file else { return try create(.partial) }
        do { try create(.completed) } catch {
            switch error {
            // The record that seems to end a file which isn't full may be a segment switch from the file's earlier use.
            case is WALDamage, is Discontinuity: break
            default: throw error
            }
            guard
                let left = try LeftTimeline.find(
                    place.segment, segmentSize: place.page.segmentSize, beside: local, place.archive)
            else { throw error }
            try create(.partial, left: (left, error))
        }
    }

    /// Stores a file whose digest is the one in its damaged object's head: it was checked when it was first stored, and
    /// that head describes it.
    private func storeAgain(
        _ key: RepositoryKey, _ local: LocalFile, _ place: SegmentPlace, head: SegmentHead, presses: [SegmentPress],
        in batch: PushBatch?, replacing replacement: Replacement
    ) throws {
        clock.mark(.open)
        try store.createSegment(
            key, replacing: replacement, length: UInt64(local.size), presses: presses, read: local.read,
            inspect: { _ in },
            head: { digest in
                guard digest == head.digest else { throw ContentChanged() }
                return head
            }, written: { clock.mark(.compress) }, turn: { try batch?.awaitTurn(of: place.segment) })
    }

    /// Checks every page and record, and the link to the previous segment, and stores the segment.
    ///
    /// - Parameter left: for a segment that may end early: why, and the error for which it would be refused otherwise.
    private func create(
        _ key: RepositoryKey, _ local: LocalFile, _ place: SegmentPlace, as contents: SegmentContents,
        left: (timeline: LeftTimeline, refusal: any Error)?, presses: [SegmentPress], in batch: PushBatch?,
        replacing replacement: Replacement?
    ) throws {
        let segment = place.segment
        var scanner: SegmentScanner? = SegmentScanner(
            name: segment, length: UInt64(local.size), contents: contents,
            systemIdentifier: place.page.systemIdentifier)
        var unreadable: WALDamage?
        var leftAt: StoredLeft?
        clock.mark(.open)
        try store.createSegment(
            key, replacing: replacement, length: UInt64(local.size), presses: presses, read: local.read,
            inspect: { piece in
                guard unreadable == nil else { return }
                do throws(WALDamage) { try scanner?.feed(piece.bytes) } catch { unreadable = try tolerate(error) }
            },
            head: { digest in
                var summary: SegmentSummary?
                if unreadable == nil, let scanner = scanner.take() {
                    let endsCleanly = scanner.endsCleanly
                    do throws(WALDamage) { summary = try scanner.finish() } catch { unreadable = try tolerate(error) }
                    // A completed segment must continue its predecessor; one that may end early ends where it doesn't.
                    if contents == .partial, summary != nil {
                        let obstacle = predecessor(of: local, place, batch).trim(&summary!, of: segment)
                        if let missing = obstacle as? WALMissing, !acceptDiscontinuity { throw missing }
                        // The link of a segment with a full name is checked below.
                        if let obstacle, place.file.isPartial { warn(unchecked("\"\(place.file)\"", obstacle)) }
                    }
                    if let summary, let left {
                        // A record before the switch point, on which the next timeline builds, is damaged.
                        guard endsCleanly || summary.end >= left.timeline.switchPoint else { throw left.refusal }
                        leftAt = StoredLeft(segment: segment, left: left.timeline, end: summary.end)
                    }
                }
                clock.mark(.scan)
                var accepted = false
                batch?.scanned(
                    segment, PushBatch.Scanned(summary: summary, digest: digest, key: key, status: local.status))
                // Of what is stored aside, the WAL before it is there as well, if anywhere.
                if let summary, !place.file.isPartial, key.folder == place.archive.key(for: place.file).folder {
                    accepted = try checkLink(summary, segment, place.archive, batch, beside: Files.parent(local.path))
                } else {
                    try requireWAL(place.archive)
                }
                if replacement != nil, contents == .completed {
                    try checkNext(of: summary, place)
                }
                clock.mark(.link)
                return SegmentHead(
                    rawLength: UInt64(local.size), digest: digest, summary: summary?.encode() ?? [],
                    acceptedDiscontinuity: accepted, isLeft: left != nil)
            }, written: { clock.mark(.compress) }, turn: { try batch?.awaitTurn(of: segment) })
        if let unreadable { warn(Unscanned(file: Files.name(local.path), reason: unreadable)) }
        if let leftAt { warn(leftAt) }
    }

    func predecessor(of local: LocalFile, _ place: SegmentPlace, _ batch: PushBatch?) -> Predecessor {
        Predecessor(archive: place.archive, batch: batch, directory: Files.parent(local.path))
    }

    private func unchecked(_ subject: String, _ obstacle: any Error) -> Problem {
        Problem("could not check that \(subject) continues the one before it", detail: "\(obstacle)")
    }

    /// A version that this program doesn't know must not stop archiving: nothing shows that the segment is damaged.
    private func tolerate(_ damage: WALDamage) throws(WALDamage) -> WALDamage {
        if case .unknownVersion = damage.reason { return damage }
        throw damage
    }

    /// Whether a discontinuity was found and accepted.
    private func checkLink(
        _ summary: SegmentSummary, _ segment: SegmentName, _ archive: ClusterArchive, _ batch: PushBatch?,
        beside directory: String
    ) throws -> Bool {
        do {
            // If a switch record right at the beginning ends the file, the server may have left the timeline there, and
            // the switch record may be from the file's earlier use: the previous segment is read even if it isn't
            // archived yet.
            let isShort = summary.ending == .switch && (summary.lastRecord ?? .zero) < summary.start + 16384
            let predecessor = Predecessor(archive: archive, batch: batch, directory: isShort ? directory : nil)
            if let obstacle = try predecessor.check(summary, of: segment) {
                warn(unchecked("segment \"\(segment)\"", obstacle))
            }
            return false
        } catch let error as any Explained where acceptDiscontinuity {
            warn(error)
            return true
        }
    }

    /// Makes sure that the file is not stored into a mount point of the WAL.
    func requireWAL(_ archive: ClusterArchive) throws { if !acceptDiscontinuity { try archive.requireWAL() } }

    /// Checks the link to the next segment, since the object's head can't be read: only the WAL around a file shows
    /// whether it is the one that was archived. A next segment that is absent or damaged proves nothing; any other
    /// error is thrown.
    private func checkNext(of summary: SegmentSummary?, _ place: SegmentPlace) throws {
        let next = place.segment.next(segmentSize: place.page.segmentSize)
        let its: SegmentSummary?
        do { its = try place.archive.summary(of: next) } catch {
            switch error {
            case is ObjectAbsent, is ObjectDamaged, is BadSummary: return
            default: throw error
            }
        }
        guard let summary, let its, case .broken(let link) = Continuity.join(summary, its) else { return }
        throw DamagedCopyDiffers(
            file: place.file.description,
            damage: ObjectDamaged(key: place.archive.key(for: place.file), "Its head cannot be read."),
            difference: "Segment \"\(next)\", which is archived, does not continue the offered file. "
                + (link.detail ?? ""))
    }

    /// When a file holds no WAL of its segment, and a history says that the timeline was left before the segment: the
    /// server had made the file in advance, by renaming an old one or filling it with zeros.
    private func leftUnwritten(
        _ local: LocalFile, _ name: ArchiveFileName, _ segment: SegmentName, _ damage: WALDamage
    ) throws -> LeftTimeline? {
        switch damage.reason {
        case .notWAL, .pageAddress: break
        default: return nil
        }
        guard case .segment = name, let size = UInt32(exactly: local.size), SegmentName.exists(segmentSize: size),
            segment.isPossible(segmentSize: size),
            try !local.hasPage(of: segment.start(segmentSize: size))
        else { return nil }
        return try LeftTimeline.find(segment, segmentSize: size, beside: local, ownArchive())
    }
}

/// Where a segment belongs.
struct SegmentPlace {
    let file: ArchiveFileName
    let segment: SegmentName
    let page: FirstPage
    let archive: ClusterArchive
}

extension LocalFile {
    /// Whether a page of the file has the address of its place in the segment that starts at `start`.
    fileprivate func hasPage(of start: LSN) throws -> Bool {
        var offset = 0
        var found = false
        try forEachPiece { piece in
            for page in stride(from: 0, to: piece.count - 16, by: FirstPage.pageSize) {
                let address = piece.loadUnaligned(fromByteOffset: page + FirstPage.addressOffset, as: UInt64.self)
                if LSN(UInt64(littleEndian: address)) == start + UInt64(offset + page) { found = true }
            }
            offset += piece.count
        }
        return found
    }
}

/// The file was stored, but nothing could be learned about its records.
struct Unscanned: Explained {
    let file: String
    let reason: any Explained
    var message: String { "stored \"\(file)\" without a summary" }
    var detail: String? { reason.message + (reason.detail.map { ": \($0)" } ?? ".") }
}

import Platform
import Repository
import WAL

extension Push {
    /// Segments, and `.partial` files: the last segment of a timeline, cut off by a promotion.
    ///
    /// - Parameters:
    ///   - presses: two make two threads share the work, one leaves it on this one.
    ///   - batch: the segments that are being pushed at the same time.
    func push(
        _ local: LocalFile, _ name: ArchiveFileName, _ segment: SegmentName, contents: SegmentContents,
        presses: () throws -> [SegmentPress], batch: PushBatch? = nil
    ) throws -> Outcome {
        let page = try firstPage(of: local, segment)
        let incarnation = try incarnation(page, name)
        let key = incarnation.key(for: name)
        if let outcome = try confirm(local, key, name) { return outcome }
        do {
            try create(key, local, segment, contents, page, incarnation, presses(), batch)
        } catch is ObjectExists {
            // Another process was faster.
            guard let outcome = try confirm(local, key, name) else {
                throw ObjectExists(key: key, location: store.location)
            }
            return outcome
        }
        if segment.place % 16 == 15 { sweep(key.folder) }
        clock.mark(.sync)
        return .stored
    }

    /// Removes what killed processes left in a folder; every sixteenth segment pays for looking.
    private func sweep(_ folder: RepositoryKey) {
        for path in (try? store.removeLeftovers(in: folder)) ?? [] {
            warn(Problem("removed \"\(path)\", which a killed process had left"))
        }
    }

    private func firstPage(of local: LocalFile, _ segment: SegmentName) throws -> FirstPage {
        let page = try withUnsafeTemporaryAllocation(byteCount: FirstPage.length, alignment: 8) { buffer in
            let count = try local.read(into: buffer, at: 0)
            return FirstPage(UnsafeRawBufferPointer(rebasing: buffer[..<count]))
        }
        guard let page else { throw WALDamage(.notWAL, offset: 0, lsn: nil, segment: segment) }
        try page.check(is: segment, length: UInt64(local.size))
        return page
    }

    private func incarnation(_ page: FirstPage, _ name: ArchiveFileName) throws -> Incarnation {
        let subject = "segment \"\(name.description)\""
        if let version = WALVersion(magic: page.magic) {
            return try identity.incarnation(
                major: version.major, systemIdentifier: page.systemIdentifier, named: subject)
        }
        // A version that is newer than this program: only the data directory can tell which.
        let incarnation = try identity.incarnation()
        guard incarnation.systemIdentifier == page.systemIdentifier else {
            throw WALDamage(
                .systemIdentifier(found: page.systemIdentifier, expected: incarnation.systemIdentifier), offset: 24,
                lsn: nil, segment: name.segmentName)
        }
        return incarnation
    }

    /// Checks every page and record, and the link to the segment before, and stores the segment.
    private func create(
        _ key: RepositoryKey, _ local: LocalFile, _ segment: SegmentName, _ contents: SegmentContents,
        _ page: FirstPage, _ incarnation: Incarnation, _ presses: [SegmentPress], _ batch: PushBatch?
    ) throws {
        var scanner: SegmentScanner? = SegmentScanner(
            name: segment, length: UInt64(local.size), contents: contents, systemIdentifier: page.systemIdentifier)
        var unreadable: WALDamage?
        clock.mark(.open)
        try store.createSegment(
            key, length: UInt64(local.size), presses: presses, read: local.read,
            inspect: { piece in
                guard unreadable == nil else { return }
                do throws(WALDamage) { try scanner?.feed(piece.bytes) } catch {
                    unreadable = try tolerate(error, contents)
                }
            },
            head: { digest in
                var summary: SegmentSummary?
                if unreadable == nil, let scanner = scanner.take() {
                    do throws(WALDamage) { summary = try scanner.finish() } catch {
                        unreadable = try tolerate(error, contents)
                    }
                }
                clock.mark(.scan)
                if let unreadable { warn(Unscanned(file: Files.name(local.path), reason: unreadable)) }
                var accepted = false
                batch?.scanned(
                    segment, PushBatch.Scanned(summary: summary, digest: digest, key: key, status: local.status))
                if let summary, contents == .completed {
                    accepted = try checkLink(summary, segment, incarnation, batch)
                }
                clock.mark(.link)
                return SegmentHead(
                    rawLength: UInt64(local.size), digest: digest, summary: summary?.encode() ?? [],
                    acceptedDiscontinuity: accepted)
            }, written: { clock.mark(.compress) })
    }

    /// What cannot be read must not stop archiving where nothing says that it is damaged: a version this program doesn't
    /// know, or the unfinished end of a timeline.
    private func tolerate(_ damage: WALDamage, _ contents: SegmentContents) throws(WALDamage) -> WALDamage {
        if case .unknownVersion = damage.reason { return damage }
        guard contents == .partial else { throw damage }
        return damage
    }

    /// Whether a discontinuity was found and accepted.
    private func checkLink(
        _ summary: SegmentSummary, _ segment: SegmentName, _ incarnation: Incarnation, _ batch: PushBatch?
    ) throws(Discontinuity) -> Bool {
        do {
            let predecessor = Predecessor(store: store, incarnation: incarnation, batch: batch)
            if let obstacle = try predecessor.check(summary, of: segment) {
                warn(
                    Problem(
                        "could not check that segment \"\(segment)\" continues the one before it",
                        detail: "\(obstacle)"))
            }
            return false
        } catch {
            guard acceptDiscontinuity else { throw error }
            warn(error)
            return true
        }
    }

    /// `.confirmed` when the repository has the same file; nil when it has none.
    /// - Throws: `ArchiveConflict` when it has another.
    func confirm(_ local: LocalFile, _ key: RepositoryKey, _ name: ArchiveFileName) throws -> Outcome? {
        let stored: StoredSegment
        do { stored = try StoredSegment(key, in: store) } catch is ObjectAbsent { return nil }
        var digester = Digester()
        try local.forEachPiece { digester.update($0) }
        if let conflict = try ArchiveConflict.between(
            stored, and: local, digest: digester.finish(), name: name, location: store.location)
        {
            throw conflict
        }
        try store.makeDurable(key)
        return .confirmed
    }
}

/// The file was stored, but nothing could be learned about its records.
struct Unscanned: Explained {
    let file: String
    let reason: any Explained
    var message: String { "stored \"\(file)\" without a summary" }
    var detail: String? { reason.message + (reason.detail.map { ": \($0)" } ?? ".") }
}

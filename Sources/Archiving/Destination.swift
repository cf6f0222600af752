import Platform
import Repository
import WAL

/// Where a file is to be stored, seen from what the repository has of it already.
enum Destination {
    /// Nothing need be stored.
    case confirmed
    /// Under this key, which was free a moment ago. What is worth knowing once it is done.
    case create(RepositoryKey, (any Explained)?)
}

extension Push {
    /// Compares a segment or `.partial` with the copies that the repository has of it, by their records.
    ///
    /// A copy that offers no record more is as good as stored. One that offers more is stored beside the others. So is a
    /// `.partial` that contradicts another: recovery reads neither by itself, and the server must be able to go on.
    /// - Throws: `ArchiveConflict` when a segment contradicts one that is there, `ObjectDamaged` when one can't be read.
    func destination(_ local: LocalFile, _ place: SegmentPlace, _ batch: PushBatch?) throws -> Destination {
        let copies = try store.copies(of: place.file, of: place.incarnation)
        guard !copies.isEmpty else {
            return try asideDestination(local, place) ?? .create(place.incarnation.key(for: place.file), nil)
        }
        var digester = Digester()
        try local.forEachPiece { digester.update($0) }
        let digest = digester.finish()
        for (index, copy) in copies.enumerated()
        where copy.head.digest == digest && copy.head.rawLength == UInt64(local.size) {
            try requireIntact(copy)
            try store.makeDurable(place.incarnation.key(for: place.file, copy: index + 1))
            return .confirmed
        }
        var contradiction: (comparison: SegmentComparison, copy: StoredSegment)?
        let before = predecessor(of: local, place, batch)
        for (index, copy) in copies.enumerated() {
            let comparison = try SegmentComparison(copy, local, place.segment, before: before)
            switch comparison.verdict {
            case .offersNothing:
                if comparison.isDamaged {
                    warn(DamagedHere(file: place.file.description, offset: comparison.firstDifference))
                }
                try store.makeDurable(place.incarnation.key(for: place.file, copy: index + 1))
                return .confirmed
            case .offersMore: continue
            case .unknown:
                // A walreceiver may have got the middle of a record and no more.
                let left = try LeftTimeline.find(
                    place.segment, segmentSize: place.page.segmentSize, beside: local, place.incarnation, in: store)
                if left != nil, !place.file.isPartial, !comparison.isDamaged { return .confirmed }
                contradiction = contradiction ?? (comparison, copy)
            case .contradicts: contradiction = contradiction ?? (comparison, copy)
            }
        }
        let key = place.incarnation.key(for: place.file, copy: copies.count + 1)
        guard let contradiction else {
            return .create(key, LongerCopy(file: place.file.description, key: key))
        }
        guard place.file.isPartial else {
            throw ArchiveConflict(
                file: place.file.description, location: store.location,
                firstDifference: contradiction.comparison.firstDifference,
                position: contradiction.comparison.position?.description,
                isWithinRecords: contradiction.comparison.verdict == .contradicts ? true : nil,
                archived: contradiction.copy.head.digest, offered: digest,
                isFollowed: try store.exists(
                    place.incarnation.segment(place.segment.next(segmentSize: place.page.segmentSize))))
        }
        return .create(
            key, PartialsDiffer(file: place.file.description, key: key, comparison: contradiction.comparison))
    }

    /// `.confirmed` when the repository has the same text; nil when it has none.
    ///
    /// Servers that take part in one promotion may describe it in other words: a history is the same when it names the
    /// same timelines and switch points.
    /// - Throws: `ArchiveConflict` when it has another.
    func confirmText(_ local: LocalFile, _ bytes: [UInt8], _ key: RepositoryKey, _ name: ArchiveFileName) throws
        -> Outcome?
    {
        let stored: StoredSegment
        do { stored = try readableText(key, name) } catch is ObjectAbsent { return nil }
        var digester = Digester()
        bytes.withUnsafeBytes { digester.update($0) }
        let digest = digester.finish()
        let isSame =
            if stored.head.digest == digest && stored.head.rawLength == UInt64(bytes.count) {
                true
            } else if case .history(let timeline) = name,
                let archived = try? TimelineHistory(
                    timeline: timeline, file: String(decoding: stored.bytes(limit: 1 << 20), as: UTF8.self)),
                let offered = try? TimelineHistory(timeline: timeline, file: String(decoding: bytes, as: UTF8.self))
            {
                archived.isSame(as: offered)
            } else { false }
        guard isSame else {
            throw ArchiveConflict(
                file: name.description, location: store.location,
                firstDifference: try offsetOfFirstDifference(stored, local), position: nil, isWithinRecords: nil,
                archived: stored.head.digest, offered: digest)
        }
        try store.makeDurable(key)
        return .confirmed
    }
}

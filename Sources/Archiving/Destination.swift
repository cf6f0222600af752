import Platform
import Repository
import WAL

/// Where to store a file, given what the repository has of it already.
enum Destination {
    /// Nothing need be stored.
    case confirmed
    /// Store it under this key, which was free a moment ago; then warn of this.
    case create(RepositoryKey, (any Explained)?)
    /// Store it in place of a damaged object. The object's head, if that can be read: then it is known to be the same
    /// file.
    case replace(RepositoryKey, SegmentHead?)
}

extension Push {
    /// Compares a segment or `.partial` with the copies that the repository has of it, by their records.
    ///
    /// A copy that offers no more records needs no storing. One that offers more is stored beside the others. So is a
    /// `.partial` that contradicts another, or whose copies can't be read: recovery reads neither by itself, and the
    /// server must be able to continue. A damaged copy of the same file is replaced; so is one whose head can't be
    /// read, because it tells no more than a missing one.
    /// - Throws: `ArchiveConflict` when a segment contradicts an archived one, `DamagedCopyDiffers` when it differs
    ///   from one that can't be read.
    func destination(_ local: LocalFile, _ place: SegmentPlace, _ batch: PushBatch?) throws -> Destination {
        let (copies, headless) = try place.archive.readableCopies(of: place.file)
        guard !copies.isEmpty || !headless.isEmpty else {
            if let aside = try asideDestination(local, place) { return aside }
            try requireOwnBranch(local, place)
            return .create(place.archive.key(for: place.file), nil)
        }
        var digester = Digester()
        try local.forEachPiece { digester.update($0) }
        let digest = digester.finish()
        for copy in copies where copy.head.digest == digest && copy.head.rawLength == UInt64(local.size) {
            do {
                var decompressor = try Decompressor()
                try copy.extract(with: &decompressor) { _ in }
            } catch is ObjectDamaged { return .replace(copy.key, copy.head) }
            try store.makeDurable(copy.key)
            return .confirmed
        }
        var contradiction: (comparison: SegmentComparison, copy: StoredSegment)?
        let before = predecessor(of: local, place, batch)
        var unreadable: ObjectDamaged?
        for copy in copies {
            let comparison: SegmentComparison
            do { comparison = try SegmentComparison(copy, local, place.segment, before: before) } catch let damage
                as ObjectDamaged
            {
                unreadable = unreadable ?? damage
                continue
            }
            switch comparison.verdict {
            case .offersNothing:
                if comparison.isDamaged {
                    warn(DamagedHere(file: place.file.description, offset: comparison.firstDifference))
                }
                try store.makeDurable(copy.key)
                return .confirmed
            case .offersMore: continue
            case .unknown:
                // A walreceiver may have received only the middle of a record.
                let left = try LeftTimeline.find(
                    place.segment, segmentSize: place.page.segmentSize, beside: local, place.archive)
                if left != nil, !place.file.isPartial, comparison.offersNoRecord, !comparison.isDamaged {
                    return .confirmed
                }
                contradiction = contradiction ?? (comparison, copy)
            case .contradicts:
                if !place.file.isPartial { _ = try comparison.contradicts() }
                contradiction = contradiction ?? (comparison, copy)
            }
        }
        let (file, number) = (place.file.description, copies.count + headless.count + 1)
        let key = place.archive.key(for: place.file, copy: number)
        if let unreadable, contradiction == nil {
            guard place.file.isPartial else {
                throw DamagedCopyDiffers(
                    file: file, damage: unreadable,
                    difference: "Its head does not name the digest of the offered file, \(digest).")
            }
            return .create(key, BesideDamaged(file: file, key: key, damage: unreadable))
        }
        guard let contradiction else {
            if let damaged = headless.first { return .replace(damaged.key, nil) }
            return .create(key, LongerCopy(file: file, key: key))
        }
        guard place.file.isPartial else {
            throw ArchiveConflict(
                file: file, location: store.location,
                firstDifference: contradiction.comparison.firstDifference,
                position: contradiction.comparison.position?.description,
                isWithinRecords: contradiction.comparison.verdict == .contradicts ? true : nil,
                archived: contradiction.copy.head.digest, offered: digest,
                isFollowed: try store.exists(
                    place.archive.incarnation.segment(place.segment.next(segmentSize: place.page.segmentSize))))
        }
        return .create(key, PartialsDiffer(file: file, key: key, comparison: contradiction.comparison))
    }

    /// As for a segment, for a timeline history, which is damaged also when its text can't be parsed.
    ///
    /// Servers that take part in one promotion may describe it in different words: histories are the same when they
    /// have the same timelines and switch points.
    /// - Throws: `ArchiveConflict` when the repository has another history.
    func destination(
        _ local: LocalFile, _ bytes: [UInt8], _ timeline: TimelineID, _ incarnation: Incarnation
    ) throws -> Destination {
        let key = incarnation.history(timeline)
        let object: any StoredObject
        do { object = try store.open(key, bringing: SegmentHead.usualLength) } catch is ObjectAbsent {
            return try asideDestination(local, bytes, timeline, incarnation) ?? .create(key, nil)
        }
        if try damage(of: object, .history(timeline)) != nil { return .replace(key, nil) }
        let stored = try StoredSegment(object)
        let archived = try TimelineHistory(
            timeline: timeline, file: String(decoding: stored.bytes(limit: 1 << 20), as: UTF8.self))
        let offered = try TimelineHistory(timeline: timeline, file: String(decoding: bytes, as: UTF8.self))
        guard archived.isSame(as: offered) else {
            throw ArchiveConflict(
                file: ArchiveFileName.history(timeline).description, location: store.location,
                firstDifference: try offsetOfFirstDifference(stored, local), position: nil, isWithinRecords: nil,
                archived: stored.head.digest, offered: Digest(of: bytes))
        }
        try store.makeDurable(key)
        return .confirmed
    }
}

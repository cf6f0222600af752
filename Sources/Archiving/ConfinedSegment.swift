public import Repository
public import WAL

extension StoredSegment {
    /// As `extract`, for a copy of the cluster: unchanged, the segment would make tablespaces where the original has
    /// them.
    ///
    /// - Parameter segment: the name under which the content is replayed.
    /// - Returns: the bytes that must be overwritten before a server sees the content.
    /// - Throws: also `WALDamage`: WAL that can't be read isn't known to be harmless.
    public func extractConfined(
        as segment: SegmentName, of archive: ClusterArchive,
        write: (UnsafeRawBufferPointer) throws -> Void
    ) throws -> [SegmentPatch] {
        var confinement = TablespaceConfinement(segment, length: head.rawLength, contents: contents)
        try extractConcurrently { piece in
            try write(piece)
            try confinement.feed(RawSpan(_unsafeBytes: piece))
        }
        let size = UInt32(clamping: head.rawLength)
        return try confinement.patches { source in try archive.tails(before: segment, segmentSize: size, source) }
    }
}

extension ClusterArchive {
    /// The parts of a record that continues in this segment, from the segments that may come before it, on its own
    /// timeline and on those it descends from.
    /// - Throws: `ObjectAbsent` when one is removed meanwhile.
    fileprivate func tails(
        before segment: SegmentName, segmentSize: UInt32, _ source: TablespaceConfinement.TailSource
    ) throws -> [TailFragment] {
        guard let before = segment.previous(segmentSize: segmentSize) else { return [] }
        let timelines = try timelines().filter { $0 <= segment.timeline }.sorted().reversed()
        return try timelines.flatMap { timeline in
            let name = before.on(timeline)
            return try [ArchiveFileName.segment(name), .partial(name)].flatMap { file in
                guard try has(file) else { return [TailFragment]() }
                let copies = try copies(of: file)
                // Removed since `has`: what it held isn't known.
                if copies.isEmpty { throw ObjectAbsent(key: incarnation.key(for: file), location: store.location) }
                return try copies.compactMap { try $0.tail(as: name, from: source) }
            }
        }
    }
}

extension StoredSegment {
    /// Empty when the summary can't be read.
    fileprivate func tail(
        as segment: SegmentName, from source: TablespaceConfinement.TailSource
    ) throws -> TailFragment? {
        switch source {
        case .summary: do { return try summary()?.tail } catch is BadSummary { return nil }
        case .content: return try scan(segment).tail
        }
    }
}

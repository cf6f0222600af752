public import Repository
public import WAL

extension StoredSegment {
    /// As `extract`, for a copy of the cluster: what is handed over would make tablespaces where the original has them.
    ///
    /// - Parameter segment: whose place the content has in the WAL.
    /// - Returns: what must be written over before a server sees it.
    /// - Throws: also `WALDamage`: what can't be read can't be known to be harmless.
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
    /// What segments that may come before this one hold of a record that goes on in it: the own timeline's, or one that it
    /// descends from.
    /// - Throws: `ObjectAbsent` when one goes in between.
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
                // Whoever finds nothing now doesn't know what was there.
                if copies.isEmpty { throw ObjectAbsent(key: incarnation.key(for: file), location: store.location) }
                return try copies.compactMap { try $0.tail(as: name, from: source) }
            }
        }
    }
}

extension StoredSegment {
    /// A summary that can't be read tells nothing.
    fileprivate func tail(
        as segment: SegmentName, from source: TablespaceConfinement.TailSource
    ) throws -> TailFragment? {
        switch source {
        case .summary: do { return try summary()?.tail } catch is BadSummary { return nil }
        case .content: return try scan(segment).tail
        }
    }
}

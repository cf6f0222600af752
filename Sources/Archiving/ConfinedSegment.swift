public import Repository
public import WAL

extension StoredSegment {
    /// As `extract`, for a copy of the cluster: what is handed over would make tablespaces where the original has them.
    ///
    /// - Parameter segment: whose place the content has in the log.
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
        return try confinement.patches { try archive.tails(before: segment, segmentSize: size) }
    }
}

extension ClusterArchive {
    /// What segments that may come before this one hold of a record that goes on in it: the own timeline's, or one that it
    /// descends from.
    fileprivate func tails(before segment: SegmentName, segmentSize: UInt32) throws -> [TailFragment] {
        guard let before = segment.previous(segmentSize: segmentSize) else { return [] }
        let timelines = try timelines().filter { $0 <= segment.timeline }.sorted().reversed()
        return try timelines.flatMap { timeline in
            let name = before.on(timeline)
            return try [ArchiveFileName.segment(name), .partial(name)].flatMap { file in
                try copies(of: file).compactMap { try $0.summary(reading: name).tail }
            }
        }
    }
}

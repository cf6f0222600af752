import WAL

/// What a server reads before it has replayed it (`recovery_prefetch`, since version 15), past the stopping point too.
/// There a segment that it can't get stops it as anywhere else, although the recovery doesn't need it.
extension Planner {
    /// Bytes of WAL after the end that may be read ahead, at most. A server decodes as much as fits into
    /// `wal_decode_buffer_size`, 512 kB unless somebody sets more.
    private static var reach: UInt64 { 16 << 20 }
    /// Segments that are read to find damage nobody knows of, at most; small ones that were ended early may be many.
    private static var mostRead: Int { 64 }

    /// The first segment after the end that a server may ask for before it stops there, and would not get.
    ///
    /// - Parameter index: of the segment that the end is in.
    func faultAhead(of end: LSN, _ wal: ReplayWAL<Source>, from index: Int) throws -> WALBreak? {
        guard source.majorVersion >= 15 else { return nil }
        var distance: UInt64 = 0
        for place in index..<wal.segments.count {
            let isRead = place > index && place <= index + Self.mostRead
            if isRead, let fault = try source.fault(of: wal.segments, at: place) { return fault }
            distance += length(wal, at: place, from: end)
            guard distance < Self.reach else { return nil }
        }
        guard case .broken(let found) = wal.ending else { return nil }
        return found
    }

    /// Bytes from a position to the last record of a segment: what comes after a switch isn't decoded.
    private func length(_ wal: ReplayWAL<Source>, at index: Int, from end: LSN) -> UInt64 {
        let begin = max(wal.segments[index].start(segmentSize: source.segmentSize), end)
        guard let last = (try? wal.facts(at: index))?.lastRecord else { return UInt64(source.segmentSize) }
        return last > begin ? last.rawValue - begin.rawValue : 0
    }
}

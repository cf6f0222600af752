import Glibc
import Platform
import WAL

/// Frees the disk space of WAL that a scratch server has replayed.
///
/// The server itself keeps it until a restartpoint, which may be a gigabyte away. It may still read of a replayed
/// segment: the first page, which is read before any other; prepared transactions; and at the end of recovery the last
/// record once more. The rest becomes a hole.
struct ReplayedWAL {
    struct Segment {
        let name: SegmentName
        let size: Int
        /// See `ReplaySegment`.
        let needed: [Range<Int>]
        let lastRecord: LSN

        init(_ segment: ReplaySegment) {
            (name, size) = (segment.name, segment.bytes.count)
            (needed, lastRecord) = (segment.needed, segment.lastRecord)
        }
    }

    private let directory: String
    private let taken: String
    private var segments: [Segment] = []
    /// How many of them the server had requested at the last check.
    private var asked = 0
    /// How many have been emptied.
    private var emptied = 0

    /// The server reads half a megabyte (wal_decode_buffer_size) ahead of replay: when it has requested a segment, it
    /// has replayed all records that end in the last but one before it.
    private static let distance = 3
    private static let block = 8192

    /// - Parameters:
    ///   - directory: the server's pg_wal.
    ///   - taken: the folder in which the server's requests are recorded.
    init(directory: String, taken: String) { (self.directory, self.taken) = (directory, taken) }

    /// Adds the next segment in the order of replay.
    mutating func add(_ segment: ReplaySegment) { segments.append(Segment(segment)) }

    mutating func giveBack() {
        while asked < segments.count, access("\(taken)/\(segments[asked].name)", F_OK) == 0 { asked += 1 }
        while emptied + ReplayedWAL.distance < asked {
            let segment = segments[emptied]
            let end = segment.name.start(segmentSize: UInt32(segment.size)) + UInt64(segment.size)
            // A record in several segments is read from its beginning, and the record before it may be read again.
            guard segments[asked - ReplayedWAL.distance].lastRecord >= end else { return }
            empty(segment)
            emptied += 1
        }
    }

    private func empty(_ segment: Segment) {
        let path = "\(directory)/\(segment.name)"
        // A restartpoint may have removed it.
        guard let file = try? Descriptor(open: path, O_RDWR) else { return }
        var from = ReplayedWAL.block
        for stretch in segment.needed.sorted(by: { $0.lowerBound < $1.lowerBound }) {
            let upTo = stretch.lowerBound / ReplayedWAL.block * ReplayedWAL.block
            if upTo > from { file.punchHole(at: Int64(from), count: Int64(upTo - from)) }
            from = max(from, (stretch.upperBound + ReplayedWAL.block - 1) / ReplayedWAL.block * ReplayedWAL.block)
        }
        if segment.size > from { file.punchHole(at: Int64(from), count: Int64(segment.size - from)) }
    }
}

import Glibc
import Platform
public import WAL

extension WaitingObservation {
    /// Looks into the server's pg_wal; works without the server as well.
    ///
    /// - Parameters:
    ///   - archived: the newest segment in the repository.
    ///   - position: where the server writes; nil when it can't be asked.
    ///   - segmentSize: in bytes.
    public init(
        dataDirectory: String, archived: SegmentName?, timeline: TimelineID, position: LSN?, segmentSize: UInt32,
        now: Moment
    ) throws {
        let log = dataDirectory + "/pg_wal"
        let status = log + "/archive_status"
        let names = try Files.list(status).filter { $0.hasSuffix(".ready") }
        ready = names.count
        // One that is gone meanwhile has been archived.
        let oldest = try names.compactMap { try FileStatus(ifPresent: status + "/" + $0)?.modified }.min()
        oldestReady = oldest.map { max(0, Double(now.microseconds - $0) / 1_000_000) } ?? 0

        let behind = archived?.number(segmentSize: segmentSize)
        let last = position.map { ($0.rawValue == 0 ? 0 : $0.rawValue - 1) / UInt64(segmentSize) }
        let candidates = try Files.list(log).compactMap { SegmentName($0) }
            .filter { name in
                let number = name.number(segmentSize: segmentSize)
                return name.timeline >= timeline && (behind.map { number > $0 } ?? true)
                    && (last.map { number <= $0 } ?? true)
            }
            .sorted { $0.number(segmentSize: segmentSize) < $1.number(segmentSize: segmentSize) }
        oldestCommit = 0
        for name in candidates {
            switch WaitingObservation.firstCommit(in: log + "/" + name.description, name) {
            case .commit(let time):
                oldestCommit = max(0, Double(now.microseconds - time.microseconds) / 1_000_000)
                return
            case .none: continue
            case .unreadable:
                // A segment kept for reuse holds what it held before; behind the last one in use that is no loss.
                if position == nil { return }
                oldestCommit = nil
                return
            }
        }
    }

    private enum Finding {
        case commit(Moment)
        case none
        case unreadable
    }

    private struct Enough: Error {}

    /// The first commit in a segment that may still be written to: read up to there and no further.
    private static func firstCommit(in path: String, _ name: SegmentName) -> Finding {
        var found: Moment?
        do {
            let file = try Descriptor(open: path, O_RDONLY)
            let size = try file.status(path: path).size
            var walk = RecordWalk()
            walk.begin(name, length: UInt64(size), contents: .partial)
            let window = UnsafeMutableRawBufferPointer.allocate(byteCount: 128 << 10, alignment: 4096)
            defer { window.deallocate() }
            var offset: Int64 = 0
            while offset < size {
                let count = try file.read(into: window, at: offset, path: path)
                guard count > 0 else { break }
                offset += Int64(count)
                let bytes = RawSpan(_unsafeBytes: UnsafeRawBufferPointer(rebasing: window[..<count]))
                try walk.feed(bytes) { record in
                    guard case .commit(let end) = record.kind else { return .more }
                    found = end.time
                    return .stop
                }
                if found != nil { throw Enough() }
            }
        } catch is Enough {
            return found.map(Finding.commit) ?? .none
        } catch is WALDamage {
            // The end of what the server has written so far may be half a record.
            return found.map(Finding.commit) ?? .none
        } catch { return .unreadable }
        return found.map(Finding.commit) ?? .none
    }
}

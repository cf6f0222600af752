import Glibc
import Platform
public import WAL

extension WaitingObservation {
    /// Examines the server's pg_wal; works without the server as well.
    ///
    /// - Parameters:
    ///   - archived: the newest segment in the repository.
    ///   - position: where the server writes; nil when it can't be queried.
    ///   - segmentSize: in bytes.
    ///   - isArchived: whether the repository has the content of a segment's file. Called when the segment waits for
    ///     the archiver although a newer one is archived: it may be refused because another server's has its name.
    public init(
        dataDirectory: String, archived: SegmentName?, timeline: TimelineID, position: LSN?, segmentSize: UInt32,
        now: Moment, isArchived: (_ path: String, SegmentName) throws -> Bool
    ) throws {
        let wal = dataDirectory + "/pg_wal"
        let status = wal + "/archive_status"
        let names = try Files.list(status).filter { $0.hasSuffix(".ready") }
        ready = names.count
        // A file that vanishes has been archived.
        let oldest = try names.compactMap { try FileStatus(ifPresent: status + "/" + $0)?.modified }.min()
        oldestReady = oldest.map { max(0, Double(now.microseconds - $0) / 1_000_000) } ?? 0

        let done = archived?.number(segmentSize: segmentSize)
        let last = position.map { ($0.rawValue == 0 ? 0 : $0.rawValue - 1) / UInt64(segmentSize) }
        let waiting = Set(names.compactMap { SegmentName(String($0.dropLast(6))) })
        func isNewer(_ name: SegmentName) -> Bool {
            name.timeline >= timeline && (done.map { name.number(segmentSize: segmentSize) > $0 } ?? true)
        }
        let candidates = try Files.list(wal).compactMap { SegmentName($0) }
            .filter { name in
                let number = name.number(segmentSize: segmentSize)
                if let last, number > last { return false }
                // The segment being written has no status yet, even if another server has archived one under its name.
                return isNewer(name) || waiting.contains(name) || number == last && name.timeline >= timeline
            }
            .sorted { $0.number(segmentSize: segmentSize) < $1.number(segmentSize: segmentSize) }
        if let last {
            unarchived =
                done.map { last - min(last, $0 + 1) }
                ?? UInt64(candidates.count { $0.number(segmentSize: segmentSize) < last })
        }
        oldestCommit = 0
        for name in candidates {
            let path = wal + "/" + name.description
            if !isNewer(name) {
                do {
                    if try isArchived(path, name) { continue }
                } catch {
                    guard try Files.exists(path) else { continue }
                    throw error
                }
            }
            // A finished segment must be whole; it may end early only where its timeline was left.
            let isFinished = waiting.contains(name) && name.timeline >= timeline
            switch WaitingObservation.firstCommit(in: path, name, isFinished ? .completed : .partial) {
            case .commit(let time):
                oldestCommit = max(0, Double(now.microseconds - time.microseconds) / 1_000_000)
                return
            case .none: continue
            case .unreadable:
                (oldestCommit, unreadable) = (nil, name)
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

    /// The first commit in a segment that may still be written to: read up to there only.
    private static func firstCommit(in path: String, _ name: SegmentName, _ contents: SegmentContents) -> Finding {
        var found: Moment?
        do {
            let file = try Descriptor(open: path, O_RDONLY)
            let size = try file.status(path: path).size
            var walk = RecordWalk()
            walk.begin(name, length: UInt64(size), contents: contents)
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
            // The server's WAL may end with half a record; after damage there may be anything.
            return found.map(Finding.commit) ?? (contents == .completed ? .unreadable : .none)
        } catch { return .unreadable }
        return found.map(Finding.commit) ?? .none
    }
}

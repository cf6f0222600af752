import DataDirectory
import Glibc
import Platform
import Repository
import WAL

/// How `archive-get` fetches ahead while a server recovers.
public struct Prefetch: Sendable {
    /// The most segments to fetch ahead.
    let segments: Int
    /// The most bytes they may take.
    let spoolSize: Int64
    /// The directory for segments fetched ahead, of all recoveries of a cluster on this host.
    let spool: String
    let start: @Sendable () throws -> Void

    /// - Parameter start: starts what calls `runPrefetcher` of the same `Fetch`, and doesn't wait for it.
    public init(segments: Int, spoolSize: Int64, spool: String, start: @escaping @Sendable () throws -> Void) {
        self.segments = segments
        self.spoolSize = spoolSize
        self.spool = spool
        self.start = start
    }
}

extension Fetch {
    /// Fetches into the spool the segments that the recovery in the caller's directory will request next, until the
    /// recovery or the archive ends, or nothing has been requested for a minute; then empties the spool.
    ///
    /// It follows the last request, wherever that jumps. It doesn't wait for a segment that is missing: the next call
    /// that `archive-get` serves from the repository starts another prefetcher if there is something to fetch.
    public func runPrefetcher() throws {
        guard let prefetch, let caller = identity.caller else { return }
        let archive = try identity.archive()
        let served = try served(archive)
        let spool = spool(prefetch, archive.incarnation, caller)
        try Files.makeDirectories(spool.directory)
        let lock = try Descriptor(open: spool.lockFile, O_RDWR | O_CREAT, mode: 0o600)
        guard try lock.tryLock(path: spool.lockFile) else { return }
        defer { spool.empty() }
        spool.removeAbandonedNeighbours()
        var watch = RecoveryWatch(DataDirectory(caller.directory))
        var segmentSize: UInt32?
        while watch.goesOn(), let request = spool.request, Clock.now - request.at < 60_000_000 {
            let size = try segmentSize ?? segmentSizeInArchive(request.segment, served)
            segmentSize = size
            guard let next = try nextWanted(spool, after: request.segment, prefetch, size) else {
                // Everything within the window is fetched.
                Clock.sleep(milliseconds: 5)
                continue
            }
            let stored: StoredSegment
            do { stored = try served.stored(next) } catch is ObjectAbsent {
                // The archive ends here. Segments in the spool stay until they are requested, or the recovery ends.
                if spool.isEmpty { return }
                Clock.sleep(milliseconds: 200)
                continue
            }
            try deliver(stored, .segment(next), archive, to: spool.path(next))
        }
    }

    private func segmentSizeInArchive(_ segment: SegmentName, _ archive: ClusterArchive) throws -> UInt32 {
        let head = try archive.head(of: segment)
        return UInt32(clamping: head.rawLength)
    }

    /// The first segment after the requested one that isn't in the spool; nil when enough are. Removes from the spool
    /// segments that aren't after the requested one.
    private func nextWanted(
        _ spool: Spool, after segment: SegmentName, _ prefetch: Prefetch, _ size: UInt32
    ) throws -> SegmentName? {
        // The head of a segment says so, and may be damaged.
        guard SegmentName.exists(segmentSize: size) else { return nil }
        let most = min(prefetch.segments, Int(prefetch.spoolSize / Int64(size)))
        var window: [SegmentName] = []
        var next = segment
        for _ in 0..<most {
            next = next.next(segmentSize: size)
            window.append(next)
        }
        let present = try spool.keep(Set(window))
        return window.first { !present.contains($0) }
    }
}

/// Whether the recovery that a prefetcher serves is still running.
private struct RecoveryWatch {
    private let directory: DataDirectory
    private let server: PostmasterFile?
    private let started = Clock.monotonic
    private var last: UInt64 = 0
    private var wasRecovering = false

    init(_ directory: DataDirectory) { (self.directory, server) = (directory, try? directory.runningServer()) }

    /// Looks at the server's process and control file twice a second.
    mutating func goesOn() -> Bool {
        let now = Clock.monotonic
        guard now - last > 500_000_000 else { return true }
        last = now
        guard let server, (try? directory.runningServer())?.process == server.process else { return false }
        guard let control = try? directory.controlFile() else { return false }
        switch control.state {
        case .inCrashRecovery, .inArchiveRecovery:
            wasRecovering = true
            return true
        default:
            // The server requests its first segment before pg_control says that it is in recovery.
            return !wasRecovering && now - started < 5_000_000_000
        }
    }
}

import Glibc
import Platform
import Repository
import WAL

/// Segments fetched ahead for one recovering server, whole and verified, in a directory that only this server uses.
///
/// The directory's name depends on the repository, the data directory and the boot of the machine: nothing fetched for
/// another cluster or timeline history is ever delivered, nor anything that a crash of the machine left half written.
struct Spool {
    let directory: String
    private let parent: String

    /// - Parameters:
    ///   - dataDirectory: the recovering server's.
    ///   - form: the form of the segments in it.
    ///   - putAside: the timeline that is served although it was put aside.
    init(
        _ prefetch: Prefetch, _ incarnation: Incarnation, location: String, dataDirectory: String, form: SegmentForm,
        putAside: TimelineID?
    ) {
        var text = location + "\n" + (form == .confined ? "confined\n" : "")
        if let putAside { text += "put aside \(putAside)\n" }
        if let here = try? FileStatus(of: dataDirectory) { text += "\(here.device) \(here.inode)\n" }
        text += (try? Files.readText("/proc/sys/kernel/random/boot_id", limit: 64)) ?? "\(getpid())"
        parent = prefetch.spool
        directory = "\(parent)/\(incarnation.folderName)-\(String(Digest(of: Array(text.utf8)).low, radix: 16))"
    }

    var lockFile: String { directory + "/lock" }
    var requestFile: String { directory + "/request" }
    func path(_ segment: SegmentName) -> String { directory + "/\(segment)" }

    /// Moves a segment from the spool to `destination`; false when it isn't there. Waits while the prefetcher is
    /// fetching it.
    func deliver(_ segment: SegmentName, _ incarnation: Incarnation, to destination: String) -> Bool {
        let path = path(segment)
        for _ in 0..<5000 {
            if let file = try? Descriptor(open: path, O_RDONLY) {
                return (try? hand(over: file, path, segment, incarnation, to: destination)) != nil
            }
            guard isBeingFetched(segment) else { return false }
            usleep(500)
        }
        return false
    }

    private func hand(
        over file: borrowing Descriptor, _ path: String, _ segment: SegmentName, _ incarnation: Incarnation,
        to destination: String
    ) throws {
        let length = UInt64(try file.status(path: path).size)
        try withUnsafeTemporaryAllocation(byteCount: FirstPage.length, alignment: 8) { buffer in
            let count = try file.read(into: buffer, at: 0, path: path)
            try check(UnsafeRawBufferPointer(rebasing: buffer[..<count]), is: segment, length: length, incarnation)
        }
        do throws(SystemError) { try Files.rename(path, to: destination) } catch {
            guard error.code == EXDEV else { throw error }
            let window = UnsafeMutableRawBufferPointer.allocate(byteCount: 128 << 10, alignment: 4096)
            defer { window.deallocate() }
            try Delivery.put(at: destination) { append in
                var offset: Int64 = 0
                while offset < length {
                    let count = try file.read(into: window, at: offset, path: path)
                    guard count > 0 else { throw Problem("file \"\(path)\" became shorter while it was read") }
                    try append(UnsafeRawBufferPointer(rebasing: window[..<count]))
                    offset += Int64(count)
                }
            }
            try? Files.remove(path)
        }
    }

    /// Whether a process holds the lock of the temporary that will become the segment.
    private func isBeingFetched(_ segment: SegmentName) -> Bool {
        let path = Delivery.temporary(for: path(segment))
        guard let file = try? Descriptor(open: path, O_RDONLY) else { return false }
        return (try? file.tryLock(path: path)) == false
    }

    /// Records the last request for the prefetcher. False when there can't be a spool.
    @discardableResult
    func want(_ segment: SegmentName) -> Bool {
        let name = Array(segment.description.utf8)
        do {
            do { try write(name) } catch let error as SystemError where error.code == ENOENT {
                try Files.makeDirectories(directory, mode: 0o700)
                try write(name)
            }
            return true
        } catch { return false }
    }

    private func write(_ name: [UInt8]) throws {
        let file = try Descriptor(open: requestFile, O_WRONLY | O_CREAT, mode: 0o600)
        try name.withUnsafeBytes { try file.write($0, at: 0, path: requestFile) }
    }

    /// The last requested segment, and when it was requested (microseconds since 1970).
    var request: (segment: SegmentName, at: Int64)? {
        guard let file = try? Descriptor(open: requestFile, O_RDONLY),
            let status = try? file.status(path: requestFile),
            let text = try? Files.readText(requestFile, limit: 64), let segment = SegmentName(text)
        else { return nil }
        return (segment, status.modified)
    }

    /// Whether a prefetcher is running.
    var isServed: Bool {
        guard let lock = try? Descriptor(open: lockFile, O_RDONLY) else { return false }
        return (try? lock.tryLock(path: lockFile)) == false
    }

    /// Removes every segment that isn't in `window`, and returns those that remain.
    func keep(_ window: Set<SegmentName>) throws -> Set<SegmentName> {
        var present: Set<SegmentName> = []
        for name in try Files.list(directory) {
            guard let segment = SegmentName(name) else { continue }
            if window.contains(segment) { present.insert(segment) } else { try Files.removeIfPresent(path(segment)) }
        }
        return present
    }

    var isEmpty: Bool { ((try? Files.list(directory)) ?? []).allSatisfy { SegmentName($0) == nil } }

    /// Removes everything but the lock.
    func empty() {
        for name in (try? Files.list(directory)) ?? [] where name != "lock" {
            try? Files.remove(directory + "/" + name)
        }
    }

    /// Removes the spools of recoveries without a prefetcher.
    func removeAbandonedNeighbours() {
        for name in (try? Files.list(parent)) ?? [] {
            let other = parent + "/" + name
            guard other != directory, let status = try? FileStatus(ifPresent: other),
                Clock.now - status.modified > 60_000_000
            else { continue }
            if let lock = try? Descriptor(open: other + "/lock", O_RDONLY) {
                guard (try? lock.tryLock(path: other)) == true else { continue }
            }
            try? Files.removeTree(other)
        }
    }
}

import DataDirectory
import Glibc
import Platform
public import WAL

/// What of a dead server's WAL is not in the archive yet: files it had no time to archive, and the segment it was
/// writing.
public struct Rescue: Sendable {
    public enum Item: Hashable, Sendable {
        /// A finished file of pg_wal, under its own name.
        case finished(String)
        /// The segment the server was writing. It is archived as PostgreSQL archives the last one of a timeline it leaves:
        /// under its name with `.partial`, so that the finished segment still can be, should the server ever run again.
        case last(SegmentName)
    }

    public let dataDirectory: String
    public let items: [Item]

    /// Reads pg_wal: what is marked `.ready`, and all segments from the last checkpoint on, as far as they hold records.
    public init(dataDirectory: String) throws {
        self.dataDirectory = dataDirectory
        let folder = dataDirectory + "/pg_wal"
        var items: [Item] = []
        let ready = try Files.listIfPresent(folder + "/archive_status").filter { $0.hasSuffix(".ready") }
            .map { String($0.dropLast(6)) }
        for name in ready.sorted() where try ArchiveFileName(name) != nil && Files.exists(folder + "/" + name) {
            items.append(.finished(name))
        }
        let control = try DataDirectory(dataDirectory).controlFile()
        var name = SegmentName(
            timeline: max(control.timeline, control.minimumRecoveryTimeline), containing: control.redo,
            segmentSize: control.segmentSize)
        while try Files.exists("\(folder)/\(name)") {
            guard let summary = try? Rescue.scan("\(folder)/\(name)", name) else { break }
            // A file kept for reuse still has the pages of its earlier life.
            guard summary.firstRecord != nil || summary.head != nil else { break }
            if summary.ending == .zero || summary.ending == .stale {
                items.append(.last(name))
                break
            }
            if !ready.contains(name.description) { items.append(.finished(name.description)) }
            name = name.next(segmentSize: control.segmentSize)
        }
        self.items = items
    }

    private static func scan(_ path: String, _ name: SegmentName) throws -> SegmentSummary {
        let file = try Descriptor(open: path, O_RDONLY)
        let size = try file.status(path: path).size
        var scanner = SegmentScanner(name: name, length: UInt64(size), contents: .partial)
        var window = [UInt8](repeating: 0, count: 128 << 10)
        while true {
            let count = try window.withUnsafeMutableBytes { try file.read(into: $0, path: path) }
            if count == 0 { return try scanner.finish() }
            try window.withUnsafeBytes {
                try scanner.feed(RawSpan(_unsafeBytes: UnsafeRawBufferPointer(rebasing: $0[..<count])))
            }
        }
    }

    /// Hands every item to `push`, which gets a path whose last part is the name to archive under.
    ///
    /// - Parameter scratch: a directory for the last segment's copy.
    /// - Returns: what could not be archived, and why; the rest is safe.
    public func carryOut(
        scratch: String, push: (_ path: String) throws -> Void
    ) throws -> [(name: String, reason: any Error)] {
        var failures: [(name: String, reason: any Error)] = []
        for item in items {
            switch item {
            case .finished(let name):
                do { try push("\(dataDirectory)/pg_wal/\(name)") } catch { failures.append((name, error)) }
            case .last(let name):
                let copy = "\(scratch)/\(name).partial"
                do {
                    try Files.makeDirectories(scratch)
                    try Files.removeIfPresent(copy)
                    try createDurably(copy, bytes: try Files.read("\(dataDirectory)/pg_wal/\(name)", limit: 1 << 30))
                    try push(copy)
                } catch { failures.append(("\(name).partial", error)) }
                try Files.removeIfPresent(copy)
            }
        }
        return failures
    }
}

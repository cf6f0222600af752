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
    ///
    /// The checkpoint may lie on an older timeline than the server: for a while after a promotion the last one is still
    /// the parent's (`CreateEndOfRecoveryRecord`, src/backend/access/transam/xlog.c).
    ///
    /// Records end where a segment is damaged, as they do for the server. A file that can't be read tells nothing of the kind.
    ///
    /// - Parameter history: a timeline's history where pg_wal hasn't got it.
    public init(dataDirectory: String, history: (TimelineID) throws -> TimelineHistory?) throws {
        self.dataDirectory = dataDirectory
        let folder = dataDirectory + "/pg_wal"
        var items: [Item] = []
        let ready = try Files.listIfPresent(folder + "/archive_status").filter { $0.hasSuffix(".ready") }
            .map { String($0.dropLast(6)) }
        for name in ready.sorted() where try ArchiveFileName(name) != nil && Files.exists(folder + "/" + name) {
            items.append(.finished(name))
        }
        let directory = DataDirectory(dataDirectory)
        let control = try directory.controlFile()
        let timeline = try directory.timeline(control)
        let own = try TimelineHistory(timeline, in: dataDirectory)
        let known = try own ?? history(timeline)
        let lineage = Lineage(known ?? TimelineHistory(timeline), segmentSize: control.segmentSize)
        // Without its history nobody finds a timeline. A server that archives elsewhere, or nothing, has it all the same.
        for step in lineage.steps {
            let file = ArchiveFileName.history(step.timeline).description
            guard !ready.contains(file), try Files.exists(folder + "/" + file) else { continue }
            items.append(.finished(file))
        }
        var name = lineage.file(containing: control.redo)
        if known == nil, timeline > TimelineID(1) {
            // Redo may lie on a timeline that nobody can tell any more; what the server wrote itself is found by its names.
            name =
                try Files.list(folder).compactMap { SegmentName($0) }
                .filter { $0.timeline == timeline && $0 >= name }.min() ?? name
        }
        // Of a server that archives nothing, or elsewhere, no file tells whether it was archived: neither .ready nor .done.
        var earlier: [Item] = []
        var before = lineage.file(before: name)
        while let file = before, try Files.exists("\(folder)/\(file)"),
            try !Files.exists("\(folder)/archive_status/\(file).done")
        {
            if !ready.contains(file.description) { earlier.append(.finished(file.description)) }
            before = lineage.file(before: file)
        }
        items += earlier.reversed()
        var continuity = Continuity()
        while try Files.exists("\(folder)/\(name)") {
            var summary: SegmentSummary
            do { summary = try WaitingWAL.scan("\(folder)/\(name)", name, .partial) } catch is WALDamage { break } catch
            {
                // It may hold the last commits: whoever archives it comes upon the same, and says so.
                items.append(.last(name))
                break
            }
            _ = continuity.add(trimming: &summary, mayEndEarly: true)
            // A file kept for reuse still has the pages of its earlier life.
            guard summary.firstRecord != nil || summary.head != nil else { break }
            if summary.ending == .zero || summary.ending == .stale {
                items.append(.last(name))
                break
            }
            if !ready.contains(name.description) { items.append(.finished(name.description)) }
            name = lineage.file(after: name)
        }
        self.items = items
    }

    /// Hands every item to `push`, which gets a path whose last part is the name to archive under.
    ///
    /// - Parameters:
    ///   - scratch: a directory for the last segment's copy.
    ///   - proceed: asked before each item; what it throws ends it there.
    /// - Returns: what could not be read or archived, and why; the rest is safe.
    public func carryOut(
        scratch: String, proceed: () throws -> Void, push: (_ path: String) throws -> Void
    ) throws -> [(name: String, reason: any Error)] {
        var failures: [(name: String, reason: any Error)] = []
        for item in items {
            try proceed()
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

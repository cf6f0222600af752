import DataDirectory
import Glibc
import Platform
public import WAL

/// A dead server's WAL that is not archived yet: files it had no time to archive, and the segment it was writing.
public struct Rescue: Sendable {
    public enum Item: Hashable, Sendable {
        /// A finished file of pg_wal, under its own name.
        case finished(String)
        /// The segment the server was writing. It is archived as PostgreSQL archives the last one of a timeline it
        /// leaves: under its name with `.partial`, so that the finished segment can still be archived if the server
        /// ever runs again.
        case last(SegmentName)
    }

    public let dataDirectory: String
    public let items: [Item]

    /// Reads pg_wal: files with a `.ready` mark, and all segments from the last checkpoint on, as far as they hold
    /// records.
    ///
    /// The checkpoint may lie on an older timeline than the server's: for a while after a promotion the last one is
    /// still the parent's (`CreateEndOfRecoveryRecord`, src/backend/access/transam/xlog.c).
    ///
    /// Records end where a segment is damaged, as they do for the server. A file that can't be read doesn't end them.
    ///
    /// - Parameter history: the history of a timeline that pg_wal doesn't have.
    public init(dataDirectory: String, history: (TimelineID) throws -> TimelineHistory?) throws {
        self.dataDirectory = dataDirectory
        let folder = dataDirectory + "/pg_wal"
        var items: [Item] = []
        let ready = try Files.listIfPresent(folder + "/archive_status").filter { $0.hasSuffix(".ready") }
            .map { String($0.dropLast(6)) }
        for name in ready.sorted() where try ArchiveFileName(name) != nil && Files.exists(folder + "/" + name) {
            items.append(.finished(name))
        }
        let control = try DataDirectory(dataDirectory).controlFile()
        let timeline = control.serverTimeline
        let own = try TimelineHistory(timeline, in: dataDirectory)
        let known = try own ?? history(timeline)
        let lineage = Lineage(known ?? TimelineHistory(timeline), segmentSize: control.segmentSize)
        // No recovery finds a timeline without its history. A server that doesn't archive here has no `.ready` mark for
        // it.
        for step in lineage.steps {
            let file = ArchiveFileName.history(step.timeline).description
            guard !ready.contains(file), try Files.exists(folder + "/" + file) else { continue }
            items.append(.finished(file))
        }
        var name = lineage.file(containing: control.redo)
        if known == nil, timeline > TimelineID(1) {
            // The timeline of the redo position may be unknown; the segments that the server wrote itself are found by
            // name.
            name =
                try Files.list(folder).compactMap { SegmentName($0) }
                .filter { $0.timeline == timeline && $0 >= name }.min() ?? name
        }
        // A server with archiving off, or into another archive, leaves no mark: neither .ready nor .done.
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
                // It may hold the last commits: archiving it will fail in the same way, and report that.
                items.append(.last(name))
                break
            }
            _ = continuity.add(trimming: &summary, mayEndEarly: true)
            // A recycled file still has the pages of its earlier use.
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

    /// Hands every item to `push`, as a path whose last component is the name to archive under.
    ///
    /// - Parameters:
    ///   - scratch: a directory for the last segment's copy.
    ///   - proceed: called before each item; an error ends the rescue.
    /// - Returns: what could not be read or archived, and why; everything else is archived.
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

import Archiving
import Backups
import DataDirectory
import Glibc
import Platform
public import Repository
public import WAL

/// A dead server's WAL that is not archived yet: files it had no time to archive, and the segment it was writing.
public struct Rescue: Sendable {
    public enum Item: Hashable, Sendable {
        /// A finished file of pg_wal, under its own name.
        case finished(ArchiveFileName)
        /// The segment the server was writing. It is archived as PostgreSQL archives the last one of a timeline it
        /// leaves: under its name with `.partial`, so that the finished segment can still be archived if the server
        /// ever runs again.
        case last(SegmentName)
    }

    public let dataDirectory: String
    public let items: [Item]

    /// Reads pg_wal: what is marked `.ready`, what the archive lacks of the server's history since its oldest backup
    /// began, and all segments from the last checkpoint on, as far as they hold records.
    ///
    /// A `.done` doesn't tell that a file is archived: a standby gives it to what it receives (`XLogArchiveForceDone`,
    /// xlogarchive.c), and the archive may have lost it since. Nothing from before the oldest backup is missed:
    /// `expire` removes it.
    ///
    /// The checkpoint may lie on an older timeline than the server's: for a while after a promotion the last one is
    /// still the parent's (`CreateEndOfRecoveryRecord`, src/backend/access/transam/xlog.c).
    ///
    /// Records end where a segment is damaged, as they do for the server. A file that can't be read doesn't end them.
    ///
    /// - Parameter archive: the cluster's; nil when it has none yet.
    public init(dataDirectory: String, archive: ClusterArchive?) throws {
        self.dataDirectory = dataDirectory
        let folder = dataDirectory + "/pg_wal"
        let ready = try Files.listIfPresent(folder + "/archive_status").filter { $0.hasSuffix(".ready") }
            .map { String($0.dropLast(6)) }
        var files = Set(try ready.filter { try ArchiveFileName($0) != nil && Files.exists(folder + "/" + $0) })
        let directory = DataDirectory(dataDirectory)
        let control = try directory.controlFile()
        let timeline = try directory.timeline(control)
        let own = try TimelineHistory(timeline, in: dataDirectory)
        let known = try own ?? archive?.readableHistory(timeline)
        let lineage = Lineage(known ?? TimelineHistory(timeline), segmentSize: control.segmentSize)
        // The archive's own are used.
        let useless = Set(
            try DamagedOwnHistory.all(in: directory, of: archive).filter(\.isArchived).map { Files.name($0.path) })
        files.subtract(useless)
        // No recovery finds a timeline without its history. A server that doesn't archive here has no `.ready` mark for
        // it.
        for step in lineage.steps {
            let file = ArchiveFileName.history(step.timeline).description
            if try !useless.contains(file) && Files.exists(folder + "/" + file) { files.insert(file) }
        }
        let present = try Files.list(folder).compactMap { SegmentName($0) }
        var name = lineage.file(containing: control.redo)
        if known == nil, timeline > TimelineID(1) {
            // Redo may lie on a timeline that nobody can tell any more; what the server wrote itself is found by its
            // names.
            name = present.filter { $0.timeline == timeline && $0 >= name }.min() ?? name
        }
        let oldest = try archive?.listBackups().complete.map(\.startLSN).min() ?? .zero
        let first = oldest.rawValue / UInt64(control.segmentSize)
        let earlier = first..<max(first, name.number(segmentSize: control.segmentSize))
        let candidates = present.filter {
            earlier.contains($0.number(segmentSize: control.segmentSize)) && lineage.reads($0)
        }
        for (timeline, names) in Dictionary(grouping: candidates, by: \.timeline) {
            let archived = Set(try archive?.segments(timeline: timeline, from: names.min()) ?? [])
            for name in names where !archived.contains(name) {
                if try Rescue.holds(name, in: folder) { files.insert(name.description) }
            }
        }
        // A timeline's history comes before its segments.
        var items = files.sorted().compactMap { ArchiveFileName($0).map(Item.finished) }
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
            if !files.contains(name.description) { items.append(.finished(.segment(name))) }
            name = lineage.file(after: name)
        }
        self.items = items
    }

    /// Whether a file holds the segment that it is named after. A damaged one that somebody made the archiver skip was
    /// given up.
    private static func holds(_ name: SegmentName, in folder: String) throws -> Bool {
        do {
            guard try name.isWritten(at: "\(folder)/\(name)") else { return false }
            guard try Files.exists("\(folder)/archive_status/\(name).done") else { return true }
            _ = try WaitingWAL.scan("\(folder)/\(name)", name, .completed)
            return true
        } catch is WALDamage { return false } catch is SystemError {
            // Whoever archives it comes upon the same, and says so.
            return true
        }
    }

    /// Hands every item to `push`: the file's path, and the name to archive it under.
    ///
    /// - Parameter proceed: called before each item; an error ends the rescue.
    /// - Returns: what could not be read or archived, and why; everything else is archived.
    public func carryOut(
        proceed: () throws -> Void, push: (_ path: String, _ name: ArchiveFileName) throws -> Void
    ) throws -> [(name: String, reason: any Error)] {
        var failures: [(name: String, reason: any Error)] = []
        for item in items {
            try proceed()
            let (file, name): (String, ArchiveFileName) =
                switch item {
                case .finished(let name): (name.description, name)
                case .last(let segment): (segment.description, .partial(segment))
                }
            do { try push("\(dataDirectory)/pg_wal/\(file)", name) } catch {
                failures.append((name.description, error))
            }
        }
        return failures
    }
}

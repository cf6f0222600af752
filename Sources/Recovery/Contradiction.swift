import Archiving
import DataDirectory
import Glibc
public import Platform
public import Repository
public import WAL

/// The archive holds another server's file under the name of one in the cluster's own pg_wal: two servers wrote the
/// same timeline, or a copy of this server archived first. Every recovery from the archive then follows the other
/// server.
public struct Contradiction: Explained, Equatable {
    public let file: String
    public let dataDirectory: String
    /// From here on, what the archive has is not the server's.
    public let position: LSN
    /// Of the server's timeline, as the server has it.
    public let history: TimelineHistory
    /// Whether the server runs as a primary, which can be asked what is its own.
    public var isServed = false

    public var message: String {
        "\"\(file)\" in the archive is not the one that the server in \"\(dataDirectory)\" has"
    }
    public var detail: String? {
        "Two servers archived into this cluster: what it has from there on is not this server's, and a recovery follows it."
    }
    public var hint: String? {
        "If this server is the right one, take the other's WAL out of the way with \"\(remedy)\". If the other one is the right one, recover "
            + "into another directory."
    }
    /// The command that resolves it, if this server is the right one.
    public var remedy: String {
        let options = (SegmentName(file) == nil ? "" : " --following") + (isServed ? "" : " --certain")
        return runnable("tidemark segments put-aside \(file)\(options)")
    }

    /// Compares the files of a data directory that are not archived yet, its newest segment, and the histories that
    /// lead to its timeline with the archived files of the same names. Reads segments only where both exist.
    ///
    /// - Parameter segments: further segments that the server may have archived.
    /// - Returns: the first contradiction; nil when there is none, or when none can be proven.
    public static func find(
        in dataDirectory: String, timeline: TimelineID, segments: [SegmentName] = [], of archive: ClusterArchive
    ) throws -> Contradiction? {
        var found = try first(in: dataDirectory, timeline, segments, archive)
        if found != nil {
            let directory = DataDirectory(dataDirectory)
            found?.isServed = try directory.runningServer() != nil && directory.controlFile().state == .inProduction
        }
        return found
    }

    private static func first(
        in dataDirectory: String, _ timeline: TimelineID, _ segments: [SegmentName], _ archive: ClusterArchive
    ) throws -> Contradiction? {
        let folder = dataDirectory + "/pg_wal"
        let history = try TimelineHistory(timeline, in: dataDirectory)
        for step in [timeline] + (history?.ancestors.map(\.timeline) ?? []) {
            let file = ArchiveFileName.history(step).description
            guard let own = try TimelineHistory(step, in: dataDirectory),
                let archived = try archive.readableHistory(step), !archived.isSame(as: own)
            else { continue }
            return Contradiction(
                file: file, dataDirectory: dataDirectory, position: own.parting(from: archived),
                history: history ?? TimelineHistory(timeline))
        }
        let status = try Files.listIfPresent(folder + "/archive_status")
        func named(_ suffix: String) -> [SegmentName] {
            status.filter { $0.hasSuffix(suffix) }.compactMap { SegmentName(String($0.dropLast(suffix.utf8.count))) }
        }
        /// Nil when either side lacks it.
        func contradicts(_ name: SegmentName) throws -> Bool? {
            let path = "\(folder)/\(name)"
            guard try Files.exists(path), try archive.has(.segment(name)) else { return nil }
            do { return try isContradicted(path, name, of: archive) } catch let error as SystemError
                where error.code == ENOENT && error.subject == path
            {
                // A running server has recycled it meanwhile.
                return nil
            }
        }
        // Once servers diverge, they never agree again: a few segments suffice.
        var first: SegmentName?
        if let size = try? DataDirectory(dataDirectory).controlFile().segmentSize {
            // A file that the server archived may have been put aside since, in favour of another server's.
            let lineage = Lineage(history ?? TimelineHistory(timeline), segmentSize: size)
            let archived = named(".done").filter(lineage.reads)
                .sorted { $0.number(segmentSize: size) > $1.number(segmentSize: size) }
            for name in archived {
                guard let isOther = try contradicts(name) else { continue }
                guard isOther else { break }
                first = name
            }
        }
        let candidates = Set(named(".ready").sorted().prefix(8) + segments.sorted().suffix(8)).sorted()
        first = try first ?? candidates.first { try contradicts($0) == true }
        return try first.map { name in
            let size = UInt32(clamping: try FileStatus(of: "\(folder)/\(name)").size)
            return Contradiction(
                file: name.description, dataDirectory: dataDirectory,
                position: LSN(name.number(segmentSize: size) &* UInt64(size)),
                history: history ?? TimelineHistory(timeline))
        }
    }

    /// The same for the server whose directory it is; nil as well when it isn't this cluster's, or nothing can be told.
    public static func find(byServerIn dataDirectory: String, of archive: ClusterArchive) -> Contradiction? {
        let directory = DataDirectory(dataDirectory)
        guard let control = try? directory.controlFile(),
            control.systemIdentifier == archive.incarnation.systemIdentifier,
            let timeline = try? directory.timeline(control)
        else { return nil }
        return (try? find(in: dataDirectory, timeline: timeline, of: archive)) ?? nil
    }
}

/// Whether there is a contradiction isn't known.
public struct ContradictionUnknown: Explained {
    public let dataDirectory: String
    let cause: any Error

    public init(dataDirectory: String, cause: any Error) { (self.dataDirectory, self.cause) = (dataDirectory, cause) }

    public var message: String {
        "cannot tell whether the archive has another server's WAL under the names of that in \"\(dataDirectory)\""
    }
    public var detail: String? {
        let explained = cause as? any Explained
        return "\(explained?.message ?? "\(cause)")." + (explained?.detail.map { " \($0)" } ?? "")
    }
    public var hint: String? {
        (cause as? any Explained)?.hint
            ?? "Fix the cause, and run the command again. To recover without this WAL, move the directory "
            + "out of the way: mv \(shellQuoted(dataDirectory)) \(shellQuoted(dataDirectory + ".dead"))"
    }
    public var isTransient: Bool { (cause as? any Explained)?.isTransient ?? false }
}

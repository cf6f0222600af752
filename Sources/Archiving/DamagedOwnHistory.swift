public import DataDirectory
public import Platform
public import Repository
public import WAL

/// A file in a server's pg_wal that is named after a timeline's history, and isn't one.
///
/// PostgreSQL reads the history of the server's timeline whenever it starts, and that of a timeline it is to follow; it
/// ends with an error where it can't (`readTimeLineHistory`, src/backend/access/transam/timeline.c).
public struct DamagedOwnHistory: Explained, Equatable {
    public let timeline: TimelineID
    /// Absolute.
    public let path: String
    /// Whether the archive has the history, or can rebuild it.
    public let isArchived: Bool
    /// Whether it is that of the server's own timeline.
    public let isOwn: Bool
    /// As the server's own WAL tells it; nil when that doesn't.
    private let rebuilt: TimelineHistory?
    private let damage: BadTimelineHistory

    /// Nil when the file is a history, or isn't there.
    ///
    /// - Parameter archive: the cluster's; nil when it has none.
    /// - Throws: what reading the file throws.
    public init?(_ timeline: TimelineID, in directory: DataDirectory, of archive: ClusterArchive?) throws {
        let path = "\(directory.path)/pg_wal/\(ArchiveFileName.history(timeline))"
        guard try Files.exists(path) else { return nil }
        do {
            _ = try TimelineHistory(timeline: timeline, file: Files.readText(path, limit: 1 << 20))
            return nil
        } catch let damage as BadTimelineHistory { self.damage = damage }
        (self.timeline, self.path) = (timeline, path)
        isArchived = try archive?.readableHistory(timeline) != nil
        rebuilt = isArchived ? nil : (try? TimelineHistory(timeline, inSegmentsOf: directory, archive)) ?? nil
        isOwn = try directory.controlFileIfPresent().map { try directory.timeline($0) == timeline } ?? false
    }

    /// All of them, by timeline. A file that can't be read is left out.
    public static func all(in directory: DataDirectory, of archive: ClusterArchive?) throws -> [DamagedOwnHistory] {
        try Files.listIfPresent(directory.path + "/pg_wal").compactMap { name in
            guard name.hasSuffix(".history"), case .history(let timeline)? = ArchiveFileName(name) else { return nil }
            do { return try DamagedOwnHistory(timeline, in: directory, of: archive) } catch let error as SystemError
                where error.subject.hasSuffix(name)
            {
                return nil
            }
        }.sorted { $0.timeline < $1.timeline }
    }

    public var message: String { "\(damage.message), in pg_wal of \"\(Files.parent(Files.parent(path)))\"" }
    public var detail: String? {
        (damage.detail.map { $0 + " " } ?? "")
            + (isOwn
                ? "The server does not start again with it, and nothing is archived after it."
                : "A server that is to follow timeline \(timeline) stops at it, and nothing is archived after it.")
    }
    /// The command that takes it out of the way.
    public var remedy: String {
        let name = Files.name(path)
        if isArchived { return runnable("tidemark archive-get \(name) \(shellQuoted(path))") }
        if let rebuilt {
            let lines = rebuilt.ancestors.map { "\($0.timeline)\\t\($0.switchPoint)\\n" }.joined()
            return "printf '\(lines)' > \(shellQuoted(path))"
        }
        return "mv \(shellQuoted(path)) \(shellQuoted("\(Files.parent(Files.parent(path)))/\(name).damaged"))"
    }
    public var hint: String? {
        if isArchived { return "The archive has the history: \"\(remedy)\" puts it in the file's place." }
        if rebuilt != nil { return "The server's WAL tells the history: \"\(remedy)\" writes it into the file." }
        return "The archive does not have the history. If another server has it in its pg_wal, copy it from there. "
            + "If none has, move the file away with \"\(remedy)\""
            + (isOwn ? ", and take a backup at once: no backup from before leads to timeline \(timeline)." : ".")
    }
}

extension TimelineHistory {
    /// The history of a timeline from the first of its segments in a server's pg_wal, which tells where the timeline's
    /// parent was left, and from the parent's history; nil when these aren't there.
    ///
    /// - Throws: what reading the segment throws.
    fileprivate init?(
        _ timeline: TimelineID, inSegmentsOf directory: DataDirectory, _ archive: ClusterArchive?
    ) throws {
        let folder = directory.path + "/pg_wal"
        let segments = try Files.list(folder).compactMap { SegmentName($0) }.filter { $0.timeline == timeline }
        guard let first = segments.min() else { return nil }
        let bytes = try Files.read("\(folder)/\(first)", limit: 1 << 30)
        var scanner = SegmentScanner(name: first, length: UInt64(bytes.count), contents: .partial)
        try bytes.withUnsafeBytes { try scanner.feed(RawSpan(_unsafeBytes: $0)) }
        let changes = try scanner.finish().facts.timelineSwitches
        guard let change = changes.first(where: { $0.timeline == timeline && $0.previous < timeline }) else {
            return nil
        }
        var ancestors: [Ancestor] = []
        if change.previous > TimelineID(1) {
            guard
                let parent = try TimelineHistory(change.previous, inWAL: folder)
                    ?? archive?.readableHistory(change.previous)
            else { return nil }
            ancestors = parent.ancestors
        }
        // The timeline begins where its first record does, before the header of that one's page.
        let header: UInt64 = change.lsn.rawValue % UInt64(bytes.count) < 8192 ? 40 : 24
        let isFirst = change.lsn.rawValue % 8192 == header
        let begin = isFirst ? LSN(change.lsn.rawValue - header) : change.lsn
        self.init(timeline: timeline, ancestors: ancestors + [Ancestor(timeline: change.previous, switchPoint: begin)])
    }
}

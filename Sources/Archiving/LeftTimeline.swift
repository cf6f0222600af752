import DataDirectory
import Platform
import Repository
import WAL

/// A timeline that was left in a segment or before it, according to a timeline history. PostgreSQL may archive such a
/// segment under its full name although it isn't full: a walreceiver closes the last one when its upstream is promoted
/// (`WalReceiverMain`, src/backend/replication/walreceiver.c, with archive_mode = always), and a server that became a
/// standby and a primary again archives what it wrote before (`RemoveOldXlogFiles`, src/backend/access/transam/xlog.c).
struct LeftTimeline: Equatable {
    /// The timeline whose history says so.
    let by: TimelineID
    /// The first byte that doesn't belong to the timeline that was left.
    let switchPoint: LSN
    /// The reason, as a sentence.
    let sentence: String

    /// Reads the histories beside the file, in the server's pg_wal, and those in the repository.
    ///
    /// A server that runs as a primary on the timeline hasn't left it, whatever a history from another server says.
    /// - Returns: nil when no history says that the timeline was left in the segment or before it.
    static func find(
        _ segment: SegmentName, segmentSize: UInt32, beside file: LocalFile, _ archive: ClusterArchive
    ) throws -> LeftTimeline? {
        let directory = Files.parent(file.path)
        let server = DataDirectory(Files.parent(directory))
        if let control = try server.controlFileIfPresent(),
            let abandoned = try abandoned(segment, segmentSize: segmentSize, control, server.path, archive)
        {
            return abandoned
        }
        if try isRunningPrimary(server, on: segment.timeline) { return nil }
        var histories: [TimelineHistory] = []
        for name in try Files.listIfPresent(directory) {
            guard case .history(let timeline)? = ArchiveFileName(name), timeline > segment.timeline,
                let history = try TimelineHistory(timeline, inWAL: directory)
            else { continue }
            histories.append(history)
        }
        if let left = find(segment, segmentSize: segmentSize, in: histories) { return left }
        histories = []
        for timeline in try archive.histories() where timeline > segment.timeline {
            if let history = try archive.readableHistory(timeline) { histories.append(history) }
        }
        return find(segment, segmentSize: segmentSize, in: histories)
    }

    /// Of several, the one with the last switch point: it promises the most records.
    static func find(
        _ segment: SegmentName, segmentSize: UInt32, in histories: [TimelineHistory]
    ) -> LeftTimeline? {
        let end = segment.end(segmentSize: segmentSize)
        return histories.compactMap { history in
            history.switchPoint(from: segment.timeline).map { point in
                LeftTimeline(
                    by: history.timeline, switchPoint: point,
                    sentence: "Timeline \(segment.timeline) was left at \(point), as the history of timeline "
                        + "\(history.timeline) says.")
            }
        }.filter { $0.switchPoint <= end }.max { $0.switchPoint < $1.switchPoint }
    }

    /// A server that was rewound, or recovered, to a timeline that doesn't descend from the segment's still archives
    /// WAL that it received on the segment's timeline. Nothing it has builds on that WAL. The timeline number may have
    /// been used again since: then the segment lies before the beginning of the server's timeline of that number.
    private static func abandoned(
        _ segment: SegmentName, segmentSize: UInt32, _ control: ControlFile, _ dataDirectory: String,
        _ archive: ClusterArchive
    ) throws -> LeftTimeline? {
        let timeline = control.serverTimeline
        func local(_ timeline: TimelineID) throws -> TimelineHistory? {
            try TimelineHistory(timeline, inWAL: dataDirectory + "/pg_wal")
        }
        func history(_ timeline: TimelineID) throws -> TimelineHistory? {
            if let own = try local(timeline) { return own }
            if timeline == TimelineID(1) { return TimelineHistory(timeline) }
            return try archive.readableHistory(timeline)
        }
        guard let own = try history(timeline) else { return nil }
        let start = segment.start(segmentSize: segmentSize)
        if timeline != segment.timeline {
            guard !own.includes(segment.timeline) else { return nil }
            // A standby that will switch to that timeline has its history.
            let position = max(control.checkpoint, control.minimumRecoveryPoint)
            if let next = try local(segment.timeline)?.switchPoint(from: timeline), next >= position { return nil }
            return LeftTimeline(
                by: timeline, switchPoint: start,
                sentence: "The server is on timeline \(timeline), which does not descend from timeline "
                    + "\(segment.timeline).")
        }
        guard let begin = own.begin(of: timeline), begin >= segment.end(segmentSize: segmentSize) else { return nil }
        return LeftTimeline(
            by: timeline, switchPoint: start,
            sentence: "The server's timeline \(timeline) begins at \(begin): the segment is of another one with its "
                + "number.")
    }

    /// Whether the server that archives a segment is on a timeline that doesn't descend from the segment's.
    static func isElsewhere(
        _ segment: SegmentName, segmentSize: UInt32, beside file: LocalFile, _ archive: ClusterArchive
    ) throws -> Bool {
        let server = DataDirectory(Files.parent(Files.parent(file.path)))
        guard let control = try server.controlFileIfPresent() else { return false }
        return try abandoned(
            segment, segmentSize: segmentSize, control, server.path, archive) != nil
    }

    static func isPrimary(_ directory: DataDirectory, on timeline: TimelineID) throws -> Bool {
        guard let control = try directory.controlFileIfPresent() else { return false }
        return control.state == .inProduction && control.serverTimeline == timeline
    }

    /// A killed server's control file calls it a primary in production, too.
    static func isRunningPrimary(_ directory: DataDirectory, on timeline: TimelineID) throws -> Bool {
        try isPrimary(directory, on: timeline) && directory.runningServer() != nil
    }
}

extension DataDirectory {
    /// Nil where there is none: a WAL file that a person archives may lie anywhere.
    func controlFileIfPresent() throws -> ControlFile? {
        guard try Files.exists(path + "/" + ControlFile.path) else { return nil }
        return try controlFile()
    }
}

/// A segment was stored that ends early, because its timeline was left in it.
struct StoredLeft: Explained {
    let segment: SegmentName
    let left: LeftTimeline
    let end: LSN
    var message: String { "stored segment \"\(segment)\", which ends early at \(end)" }
    var detail: String? { left.sentence }
}

/// A file made in advance, into which the server never wrote.
struct NothingWritten: Explained {
    let segment: SegmentName
    let left: LeftTimeline
    var message: String { "file \"\(segment)\" contains no WAL of this segment; there is nothing to store" }
    var detail: String? {
        left.sentence + " It had written nothing of the segment."
    }
}

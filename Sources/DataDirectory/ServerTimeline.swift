import Platform
public import WAL

extension DataDirectory {
    /// The timeline that a server is on, or was on when it ended.
    ///
    /// A standby that has followed a promotion names it in its control file only at its next restartpoint, or when it
    /// writes a page. Until then pg_wal tells, where PostgreSQL keeps the histories and segments that it received or
    /// restored (`KeepFileRestoredFromArchive`, src/backend/access/transam/xlogarchive.c). A history alone is no proof:
    /// one that can't be followed is kept as well (`rescanLatestTimeLine`, src/backend/access/transam/xlogrecovery.c).
    ///
    /// - Parameter replayed: where a running standby is; nil: what the server would replay before anything else counts.
    public func timeline(_ control: ControlFile, replayed: LSN? = nil) throws -> TimelineID {
        let known = control.serverTimeline
        guard try ["standby.signal", "recovery.signal"].contains(where: { try Files.exists("\(path)/\($0)") }) else {
            return known
        }
        let position = max(control.checkpoint, control.minimumRecoveryPoint)
        let wal = path + "/pg_wal"
        let names = try Files.listIfPresent(wal)
        let segments = Set(names.compactMap { SegmentName($0) })
        let newer = names.filter { $0.hasSuffix(".history") }.compactMap { ArchiveFileName($0) }
            .compactMap { if case .history(let timeline) = $0, timeline > known { timeline } else { nil } }
        for timeline in newer.sorted(by: >) {
            guard let history = try TimelineHistory(timeline, inWAL: wal), history.contains(known, at: position) else {
                continue
            }
            if let replayed {
                let last = LSN(max(replayed.rawValue, 1) - 1)
                let segment = SegmentName(
                    timeline: history.timeline(at: last), containing: last, segmentSize: control.segmentSize)
                if segment.timeline > known, segments.contains(segment) { return segment.timeline }
            } else if let begin = history.begin(of: timeline) {
                let first = SegmentName(timeline: timeline, containing: begin, segmentSize: control.segmentSize)
                if segments.contains(where: { $0.timeline == timeline && $0 >= first }) { return timeline }
            }
        }
        return known
    }
}

extension TimelineHistory {
    /// A timeline's history in a server's pg_wal; nil when it isn't there or isn't one.
    public init?(_ timeline: TimelineID, inWAL directory: String) throws {
        let path = "\(directory)/\(timeline.fileNamePart).history"
        guard try Files.exists(path) else { return nil }
        do { try self.init(timeline: timeline, file: Files.readText(path, limit: 1 << 20)) } catch is BadTimelineHistory
        {
            return nil
        }
    }
}

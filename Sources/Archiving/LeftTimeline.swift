import DataDirectory
import Platform
import Repository
import WAL

/// A timeline that was left in a segment or before it, as a timeline history tells. PostgreSQL may hand over such a
/// segment under its full name although it isn't full: a walreceiver closes the last one when its upstream is promoted
/// (`WalReceiverMain`, src/backend/replication/walreceiver.c, with archive_mode = always), and a server that became a
/// standby and a primary again archives what it wrote before (`RemoveOldXlogFiles`, src/backend/access/transam/xlog.c).
struct LeftTimeline: Equatable {
    /// The timeline whose history tells it.
    let by: TimelineID
    /// The first byte that isn't the left timeline's.
    let switchPoint: LSN

    /// Asks the histories beside the file, in the server's pg_wal, and those in the repository.
    ///
    /// A server that is a primary on the timeline hasn't left it, whatever a history of others says.
    /// - Returns: nil when no history says that the timeline was left in the segment or before it.
    static func find(
        _ segment: SegmentName, segmentSize: UInt32, beside file: LocalFile, _ incarnation: Incarnation,
        in store: any ObjectStore
    ) throws -> LeftTimeline? {
        let directory = Files.parent(file.path)
        if isPrimary(DataDirectory(Files.parent(directory)), on: segment.timeline) { return nil }
        var histories: [TimelineHistory] = []
        for name in (try? Files.listIfPresent(directory)) ?? [] {
            guard case .history(let timeline)? = ArchiveFileName(name), timeline > segment.timeline,
                let text = try? Files.readText(directory + "/" + name, limit: 1 << 20),
                let history = try? TimelineHistory(timeline: timeline, file: text)
            else { continue }
            histories.append(history)
        }
        if let left = find(segment, segmentSize: segmentSize, in: histories) { return left }
        histories = []
        for timeline in try store.histories(of: incarnation) where timeline > segment.timeline {
            guard let text = try store.history(timeline, of: incarnation),
                let history = try? TimelineHistory(timeline: timeline, file: String(decoding: text, as: UTF8.self))
            else { continue }
            histories.append(history)
        }
        return find(segment, segmentSize: segmentSize, in: histories)
    }

    /// Of several, the one with the last switch point: it promises the most records.
    static func find(
        _ segment: SegmentName, segmentSize: UInt32, in histories: [TimelineHistory]
    ) -> LeftTimeline? {
        let end = segment.end(segmentSize: segmentSize)
        return histories.compactMap { history in
            history.switchPoint(from: segment.timeline).map { LeftTimeline(by: history.timeline, switchPoint: $0) }
        }.filter { $0.switchPoint <= end }.max { $0.switchPoint < $1.switchPoint }
    }

    private static func isPrimary(_ directory: DataDirectory, on timeline: TimelineID) -> Bool {
        guard let control = try? directory.controlFile() else { return false }
        // A promoted server writes its new timeline here before the first checkpoint on it (`CreateEndOfRecoveryRecord`).
        return control.state == .inProduction && max(control.timeline, control.minimumRecoveryTimeline) == timeline
    }
}

/// A segment was stored that ends early, because its timeline was left.
struct StoredLeft: Explained {
    let segment: SegmentName
    let left: LeftTimeline
    let end: LSN
    var message: String { "stored segment \"\(segment)\", which ends early at \(end)" }
    var detail: String? {
        "Timeline \(segment.timeline) was left at \(left.switchPoint), as the history of timeline \(left.by) says."
    }
}

/// A file made in advance, of which the server never wrote anything.
struct NothingWritten: Explained {
    let segment: SegmentName
    let left: LeftTimeline
    var message: String { "file \"\(segment)\" holds no WAL of this segment; there is nothing to store" }
    var detail: String? {
        "Timeline \(segment.timeline) was left at \(left.switchPoint), as the history of timeline \(left.by) says, before "
            + "the server had written anything of the segment."
    }
}

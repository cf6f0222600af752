public import Messages

/// A timeline with a parent, whose history file is missing from the archive, or damaged there: no recovery from a
/// backup of its ancestors can reach it.
public struct LostHistory: Explained, Hashable {
    public let timeline: TimelineID
    /// From its first segment; nil when that one is missing.
    public let parent: TimelineID?
    /// Whether the file exists. PostgreSQL requests it whenever a recovery to an older timeline starts or ends, and
    /// then fails.
    public let isDamaged: Bool

    public init(timeline: TimelineID, parent: TimelineID?, isDamaged: Bool) {
        (self.timeline, self.parent, self.isDamaged) = (timeline, parent, isDamaged)
    }

    public var message: String { LostHistory.message(timeline, isDamaged: isDamaged) }

    /// `timeline history file "00000002.history" is missing`
    public static func message(_ timeline: TimelineID, isDamaged: Bool) -> String {
        "timeline history file \"\(timeline.fileNamePart).history\" is \(isDamaged ? "damaged" : "missing")"
    }

    public var detail: String? {
        guard let parent else { return "Without it no backup from before leads to timeline \(timeline)." }
        return "Timeline \(timeline) began on timeline \(parent), as its first segment shows; without the file no "
            + "backup from before leads to it."
    }
    public var hint: String? {
        "Archive it again from the pg_wal of a server that has been on timeline \(timeline)"
            + (isDamaged ? "" : ", or take a backup on it")
            + "; if no server is on it, run \"\(runnable("tidemark segments put-aside \(timeline.fileNamePart).history"))\"."
    }
}

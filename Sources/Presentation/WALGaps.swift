import Catalog
import WAL

// The wording for missing WAL, the same everywhere.

extension LineageGap {
    /// The sentence for WAL that `expire` removed.
    var removedSentence: String { "\(description) \(count == 1 ? "was" : "were") removed by \"expire\"" }
}

extension WALGap {
    /// The times that no recovery can reach because of it, without a full stop.
    var unreachableMoments: String { unreachableMoments(on: nil) }

    /// - Parameter timeline: the one that a recovery must follow for the gap to matter; nil when it needs not be named.
    func unreachableMoments(on timeline: TimelineID?) -> String {
        let from = lastBefore.map { "\($0.time) (transaction \($0.xid))" } ?? "the beginning"
        let to = nextBackup.map { " and before \($0.stopTime), the end of backup \($0.label)," } ?? ""
        return (timeline.map { "On timeline \($0), moments" } ?? "Moments") + " after \(from)\(to) cannot be reached"
    }
}

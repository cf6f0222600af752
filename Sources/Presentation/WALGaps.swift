import Catalog
import WAL

// The wording for missing WAL, the same everywhere.

extension LineageGap {
    /// The sentence for WAL that `expire` removed.
    var removedSentence: String { "\(description) \(count == 1 ? "was" : "were") removed by \"expire\"" }
}

extension WALGap {
    /// The last moment before it that a recovery reaches; nil when it reaches none.
    var lastReached: Moment? { isReachedBefore ? lastBefore?.time : nil }

    /// The times that no recovery can reach because of it, without a full stop.
    var unreachableMoments: String { unreachableMoments(on: nil) }

    /// - Parameter timeline: the one that a recovery must follow for the gap to matter; nil when it needs not be named.
    func unreachableMoments(on timeline: TimelineID?) -> String {
        let place = timeline.map { "On timeline \($0), " } ?? ""
        let to = nextBackup.map { " before \($0.stopTime), the end of backup \($0.label)," }
        func sentence(_ text: String) -> String {
            place + (place.isEmpty ? text.prefix(1).uppercased() + text.dropFirst() : text)
        }
        guard isReachedBefore else {
            return sentence(to.map { "moments\($0) cannot be reached" } ?? "no moment can be reached")
        }
        let from = lastBefore.map { "\($0.time) (transaction \($0.xid))" } ?? "the beginning"
        return sentence("moments after \(from)\(to.map { " and" + $0 } ?? "") cannot be reached")
    }
}

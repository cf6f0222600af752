import Catalog
import WAL

// The wording for missing WAL, the same everywhere.

extension LineageGap {
    /// The sentence for WAL that `expire` removed.
    var removedSentence: String { "\(description) \(count == 1 ? "was" : "were") removed by \"expire\"" }
}

extension WALGap {
    /// The times that no recovery can reach because of it, without a full stop.
    var unreachableMoments: String {
        let from = lastBefore.map { "\($0.time) (transaction \($0.xid))" } ?? "the beginning"
        let to = nextBackup.map { " and before \($0.stopTime), the end of backup \($0.label)," } ?? ""
        return "Moments after \(from)\(to) cannot be reached"
    }
}

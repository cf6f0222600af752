import Catalog
import WAL

// What is said of missing WAL, in the same words everywhere.

extension LineageGap {
    /// What is said where nothing is missing but what `expire` removed.
    var removedSentence: String { "\(description) \(count == 1 ? "was" : "were") removed by \"expire\"" }
}

extension WALGap {
    /// Which moments no recovery reaches because of it, without a full stop.
    var unreachableMoments: String {
        let from = lastBefore.map { "\($0.time) (transaction \($0.xid))" } ?? "the beginning"
        let to = nextBackup.map { " and before \($0.stopTime), the end of backup \($0.label)," } ?? ""
        return "Moments after \(from)\(to) cannot be reached"
    }
}

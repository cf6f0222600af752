import Catalog
import Configuration
import Monitoring
import Operations
import Platform
import Repository
import Retention
import Setup
import WAL

extension LineageGap {
    /// What is said where nothing is missing but what `expire` removed.
    var removedSentence: String { "\(description) \(count == 1 ? "was" : "were") removed by \"expire\"" }
}

/// What the commands say of missing WAL, in the same words.
enum WALGaps {
    /// Which moments no recovery reaches for a gap, without a full stop.
    static func moments(_ gap: LogGap) -> String {
        let from = gap.lastBefore.map { "\($0.time) (transaction \($0.xid))" } ?? "the beginning"
        let to = gap.nextBackup.map { " and before \($0.stopTime), the end of backup \($0.label)," } ?? ""
        return "Moments after \(from)\(to) cannot be reached"
    }

    /// The commands that close a gap.
    static func remedy(
        _ gap: LineageGap, in archive: ClusterArchive, _ cluster: ClusterConfiguration, _ invocation: Invocation
    ) throws -> GapRemedy? {
        guard let push = try? invocation.installation().serverCommands(for: cluster).archive else {
            return nil
        }
        return try GapRemedy(gap, in: archive, dataDirectory: cluster.dataDirectory, pushCommand: push)
    }
}

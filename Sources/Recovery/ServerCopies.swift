import Archiving
import Backups
import Planning
import Platform
import Repository
import WAL

extension RecoveryArchive {
    /// How what a recovery misses can be archived after all, as a sentence; nil when the cluster's own directory hasn't
    /// got it.
    func atServer(_ reason: PlanRefusal.Reason) -> String? {
        let (missing, size): ([SegmentName], UInt32)
        switch reason {
        case .gap(let gaps):
            guard let first = gaps.first else { return nil }
            (missing, size) = (gaps.flatMap { Array($0.names.prefix(4096)) }, first.segmentSize)
        case .broken(let found):
            // What can't be opened keeps a whole one from being stored as well.
            guard !found.isLink, let isHeadSound = try? contents.delivers(found.segment),
                !isHeadSound || undelivered.contains(where: { $0.segment == found.segment })
            else { return nil }
            (missing, size) = ([found.segment], backups.complete.last?.segmentSize ?? 16 << 20)
        default: return nil
        }
        let local = missing.filter { $0.isWhole(in: dataDirectory, segmentSize: size) }
        guard !local.isEmpty else { return nil }
        let commands = local.prefix(3).map {
            "\"" + runnable("tidemark archive-push \(shellQuoted("\(dataDirectory)/pg_wal/\($0)"))") + "\""
        }
        let more = local.count > 3 ? ", and so on for \(local.count - 3) more" : ""
        return
            "Data directory \"\(dataDirectory)\" still has \(local.count == missing.count ? "what" : "some of what") "
            + "is missing; store it with \(commands.joined(separator: ", "))\(more)."
    }
}

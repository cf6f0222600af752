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
        guard !local.isEmpty else {
            return contents.missingWAL().map { "\(capitalized($0.message)). \($0.hint ?? "")" }
        }
        let lost = contents.missingWAL()
        let commands = local.prefix(3).enumerated().map { index, name in
            let path = shellQuoted("\(dataDirectory)/pg_wal/\(name)")
            return lost != nil && index == 0
                ? "\"" + runnable("tidemark archive-push --accept-discontinuity \(path)") + "\""
                : "\"" + runnable("tidemark archive-push \(path)") + "\""
        }
        let more = local.count > 3 ? ", and so on for \(local.count - 3) more" : ""
        if let lost {
            return "\(capitalized(lost.message)). \(lost.doubt), store what data directory \"\(dataDirectory)\" "
                + "still has with " + commands.joined(separator: ", ") + more + "."
        }
        return
            "Data directory \"\(dataDirectory)\" still has \(local.count == missing.count ? "what" : "some of what") "
            + "is missing; store it with \(commands.joined(separator: ", "))\(more)."
    }
}

import BaseBackup
import Configuration
import Platform
import WAL

/// What is right and wrong with the backups, and with what was done to prove them.
extension Observation {
    func backupAgeVerdict(_ limits: Limits) -> Verdict {
        guard let archive else { return needsArchive }
        guard let newest = archive.backups.complete.max(by: { $0.stopTime < $1.stopTime }) else {
            return .critical("There is no complete backup.", "Run \"tidemark backup\".")
        }
        let seconds = max(0, age(newest.stopTime))
        return limits.judge(
            seconds, "The newest backup, \"\(newest.label)\", is \(duration(seconds)) old.",
            "Run \"tidemark backup\"; is the timer on (systemctl list-timers 'tidemark-*')?")
    }

    func backupSizeVerdict(_ limits: Limits) -> Verdict {
        guard let archive else { return needsArchive }
        let backups = archive.backups.complete.filter { $0.kind == .full }.sorted { $0.startTime < $1.startTime }
        guard let newest = backups.last else { return .ok("There is no backup to compare.") }
        let before = backups.dropLast().suffix(7).map { Double($0.size) }.sorted()
        guard before.count >= 2 else { return .ok("There are too few backups to compare.") }
        let median =
            before.count % 2 == 1
            ? before[before.count / 2] : (before[before.count / 2 - 1] + before[before.count / 2]) / 2
        guard median > 0 else { return .ok("There are too few backups to compare.") }
        let percent = (Double(newest.size) - median) / median * 100
        let direction = percent < 0 ? "smaller" : "larger"
        return limits.judge(
            abs(percent),
            "The newest backup is \(Int(abs(percent).rounded())) % \(direction) than usual "
                + "(\(Quantity.pretty(bytes: newest.size)) instead of \(Quantity.pretty(bytes: Int64(median)))).",
            "Was a database dropped, or something loaded? If it is right, the next backups will make it usual.")
    }

    var backupHealthVerdict: Verdict {
        guard let archive else { return needsArchive }
        if let damaged = archive.backups.unreadable.first {
            return .critical(
                "Backup \"\(damaged.label)\" cannot be used: \(damaged.reason.message).",
                "Run \"tidemark verify\", and take a backup.")
        }
        if let last = lastJob(.backup), last.result == .failure {
            return .critical(
                "The last backup failed \(duration(max(0, age(last.finished)))) ago: \(last.message ?? "no reason is known").",
                last.hint ?? "Run \"tidemark backup\".")
        }
        if let newest = archive.backups.complete.max(by: { $0.stopTime < $1.stopTime }), !newest.corruptPages.isEmpty {
            return .critical(
                "The newest backup holds \(newest.corruptPages.count) pages with wrong checksums, the first in "
                    + "\"\(newest.corruptPages[0].relation ?? newest.corruptPages[0].path)\".",
                "The server's own disk has damaged them: \"tidemark show \(newest.label)\" lists them.")
        }
        let count = archive.backups.complete.count
        return count == 0
            ? .ok("There is no backup.") : .ok(count == 1 ? "1 backup is complete." : "\(count) backups are complete.")
    }

    /// Verification and drill: when was it done last, and what came of it?
    func rehearsalVerdict(_ kind: JobKind, _ limits: Limits, _ participle: String, _ nextStep: String) -> Verdict {
        let runs = jobs.filter { $0.kind == kind }
        if let last = runs.last, last.result != .success {
            let ago = duration(max(0, age(last.finished)))
            return .critical(
                last.result == .problems
                    ? "The last \(kind.rawValue) found problems \(ago) ago."
                    : "The last \(kind.rawValue) failed \(ago) ago: \(last.message ?? "no reason is known").",
                last.hint ?? "\"tidemark history --job \(kind.rawValue)\" shows when it went well last.")
        }
        if let last = runs.last {
            let seconds = max(0, age(last.finished))
            return limits.judge(seconds, "It was \(participle) \(duration(seconds)) ago.", nextStep)
        }
        // Never done: counted from the first backup, so that a new installation is left in peace for a while.
        guard let first = archive?.backups.complete.map(\.stopTime).min() else {
            return .ok("There is nothing to be \(participle) yet.")
        }
        let seconds = max(0, age(first))
        return limits.judge(seconds, "It was never \(participle).", nextStep)
    }
}

import Backups
import Configuration
import Jobs
import Planning
import Platform
import Repository
import WAL

/// Rules for the backups, and for verifications and drills.
extension Observation {
    func backupAgeVerdict(_ limits: Limits) -> Verdict {
        guard let archive else { return needsArchive }
        let damaged = archive.newestDamaged.map { "backup \"\($0.label)\" is damaged: \($0.reason)" }
        guard let newest = archive.newestBackup else {
            if let damaged {
                return .critical(
                    "There is no usable backup: \(damaged).",
                    "Run "
                        + "\"\(runnable("tidemark backup"))\".")
            }
            let found = archive.backups.newest.map {
                "No backup is of the cluster's history; the newest, \"\($0.label)\", is of timeline \($0.timeline), "
                    + "the cluster is on timeline \(archive.timeline)."
            }
            if found == nil, let one = archive.backups.aside.last {
                return .critical(
                    "There is no usable backup: of \"\(one.backup.label)\" \(one.damage).",
                    "\(one.remedy) If not, run \"\(runnable("tidemark backup"))\".")
            }
            return .critical(found ?? "There is no complete backup.", "Run \"\(runnable("tidemark backup"))\".")
        }
        if age(newest.stopTime) < -60 {
            return .critical(
                "The newest backup, \"\(newest.label)\", ended \(duration(-age(newest.stopTime))) in the future: a clock is wrong, "
                    + "or was. Nothing expires.",
                "Correct the clock. If it is correct, take a backup; \"\(runnable("tidemark remove \(shellQuoted(newest.label))"))\" removes this one."
            )
        }
        let seconds = max(0, age(newest.stopTime))
        return limits.judge(
            seconds,
            damaged.map {
                "\(capitalized($0)). The newest other one, \"\(newest.label)\", is \(duration(seconds)) old."
            }
                ?? "The newest backup, \"\(newest.label)\", is \(duration(seconds)) old.",
            "Run \"\(runnable("tidemark backup"))\"; is the timer on (systemctl list-timers 'tidemark-*')?"
                + (archive.backups.aside.last { $0.backup.stopTime > newest.stopTime }.map { " \($0.sentence)" } ?? ""))
    }

    func backupSizeVerdict(_ limits: Limits) -> Verdict {
        guard let archive else { return needsArchive }
        let backups = archive.ownBackups.filter { $0.kind == .full }.sorted {
            ($0.timeline, $0.stopLSN) < ($1.timeline, $1.stopLSN)
        }
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
            "Was a database dropped, or data loaded? If the size is right, it becomes normal with the next backups.")
    }

    var backupHealthVerdict: Verdict {
        if let excludeProblem {
            return .critical(
                "The next backup will be refused: \(excludeProblem.message)."
                    + (excludeProblem.detail.map { " " + $0 } ?? ""),
                excludeProblem.hint ?? "Take it out of \"exclude\" in the configuration.")
        }
        guard let archive else { return needsArchive }
        if let damaged = archive.backups.unreadable.first {
            return .critical(
                "Backup \"\(damaged.label)\" cannot be used: its backup.json \(damaged.reason.fault.verdict). "
                    + damaged.reason.fault.detail,
                "\(damaged.reason.fault.hint) Take a backup if that is impossible.")
        }
        if let doubtedMarker {
            return .critical(
                ["The \(doubtedMarker.message).", doubtedMarker.detail].compactMap(\.self).joined(separator: " "),
                doubtedMarker.hint ?? "Restore it from a copy of the repository.")
        }
        if let last = lastJob(.backup), last.result == .failure {
            return .critical(
                "The last backup failed \(duration(max(0, age(last.finished)))) ago: \(last.message ?? "no reason is known").",
                last.hint ?? "Run \"\(runnable("tidemark backup"))\".")
        }
        if let newest = archive.newestBackup, !newest.corruptPages.isEmpty {
            return .critical(
                "The newest backup has \(counted(newest.corruptPages.count, "page")) with wrong checksums, the first in "
                    + "\"\(newest.corruptPages[0].relation ?? newest.corruptPages[0].path)\".",
                "The server's own disk has damaged them: \"\(runnable("tidemark show \(shellQuoted(newest.label))"))\" lists them."
            )
        }
        if let first = archive.backups.unsealed.first {
            let more = archive.backups.unsealed.count - 1
            return .warning(
                "Of backup \"\(first.label)\"\(more == 0 ? "" : ", and of \(more) more"), \(first.message). "
                    + (first.detail ?? ""), first.hint ?? "")
        }
        let count = archive.backups.complete.count
        let complete =
            count == 0 ? "There is no backup." : count == 1 ? "1 backup is complete." : "\(count) backups are complete."
        return .ok(([complete] + archive.backups.aside.map(\.sentence)).joined(separator: " "))
    }

    /// How long ago a part of the repository was verified as a whole, and the results of that and of later
    /// verifications.
    func verificationVerdict(_ part: VerifiedPart, _ limits: Limits) -> Verdict {
        let runs = pastJobs.filter { $0.kind == .verify && part.isRead(by: $0) }
        let whole = runs.last { $0.facts[VerifiedPart.only] == nil }
        let command = part == .backups ? runnable("tidemark verify --backups") : runnable("tidemark verify --wal")
        let damage = knownDamage.filter { ($0.segment == nil) == (part == .backups) }
        if let first = damage.first {
            let more = damage.count > 1 ? ", and \(damage.count - 1) more" : ""
            return .critical("\(capitalized(first.sentence))\(more).", first.remedy)
        }
        if let knownDamageProblem {
            return .unknown(knownDamageProblem, "Check the repository's storage, then run \"\(command)\".")
        }
        if part == .backups, let first = formerProblems.first { return .critical(first, KnownDamage.formerRemedy) }
        if let last = [runs.last, whole].compactMap({ $0 }).first(where: part.hasProblems) {
            let ago = duration(max(0, age(last.finished)))
            if last.result == .problems, last.facts[VerifiedPart.missing] != nil, let gap = knownGaps.first {
                let more =
                    knownGaps.count > 1
                    ? ", and \(knownGaps.count - 1) more stretch\(knownGaps.count == 2 ? "" : "es")" : ""
                return .critical(
                    "The last verification found problems \(ago) ago: \(gap.sentence)\(more).", gap.remedy)
            }
            let others = last.facts[part.others] ?? "0"
            let named = [VerifiedPart.damaged, VerifiedPart.missing].contains { last.facts[$0]?.isEmpty == false }
            if last.result == .problems, named, others == "0" {
                return .warning(
                    "The last verification found problems \(ago) ago; what it named is no longer damaged, missing or there.",
                    "Run \"\(command)\".")
            }
            return .critical(
                last.result == .problems
                    ? "The last verification found problems \(ago) ago."
                    : "The last verification failed \(ago) ago: \(last.message ?? "no reason is known").",
                last.hint ?? "Run \"\(command)\": it names what is wrong.")
        }
        let later = jobs.contains { $0.kind == .verify && part.isRead(by: $0) && age($0.finished) < -60 }
        return ageVerdict(of: whole, isInFuture: later, limits, "verified", "Run \"\(command)\".")
    }

    /// When the last drill was, and its result.
    func rehearsalVerdict(_ limits: Limits) -> Verdict {
        let last = lastJob(.drill)
        if let last, last.result != .success {
            let ago = duration(max(0, age(last.finished)))
            return .critical(
                last.result == .problems
                    ? "The last drill found problems \(ago) ago\(last.facts["problem"].map { ": \($0)" } ?? ".")"
                    : "The last drill failed \(ago) ago: \(last.message ?? "no reason is known").",
                last.hint ?? "\"\(runnable("tidemark history --job drill"))\" shows when a drill last succeeded.")
        }
        let later = jobs.contains { $0.kind == .drill && age($0.finished) < -60 }
        return ageVerdict(of: last, isInFuture: later, limits, "rehearsed", "Run \"\(runnable("tidemark drill"))\".")
    }

    /// - Parameter isInFuture: whether some job's record has an end in the future.
    private func ageVerdict(
        of last: JobRecord?, isInFuture: Bool, _ limits: Limits, _ participle: String, _ nextStep: String
    ) -> Verdict {
        if let last {
            let seconds = max(0, age(last.finished))
            return limits.judge(seconds, "It was \(participle) \(duration(seconds)) ago.", nextStep)
        }
        if isInFuture {
            return .unknown(
                "It was \(participle), but it is not known when: its record is dated in the future, so a clock is or was wrong.",
                "Correct the clock. \(nextStep)")
        }
        // Never done: counted from the first backup, so that a new installation doesn't warn at once.
        guard let first = archive?.backups.complete.map(\.stopTime).min() else {
            return .ok("There is nothing to be \(participle) yet.")
        }
        let seconds = max(0, age(first))
        return limits.judge(seconds, "It was never \(participle).", nextStep)
    }
}

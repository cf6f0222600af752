import Backups
import Configuration
import Jobs
import Planning
import Platform
import Recovery
import Repository
public import WAL

/// Rules for the archived WAL, and for what could be recovered from it.
extension Observation {
    var needsArchive: Verdict {
        .critical(
            archiveProblem.map { "The repository could not be read: \($0)." } ?? "The repository could not be read.",
            archiveHint ?? "Check the repository's storage.")
    }

    var continuityVerdict: Verdict {
        guard let archive else { return needsArchive }
        let more = archive.gaps.count - 1
        let gap = archive.gaps.first.map { gap in
            capitalized(gap.sentence) + (more > 0 ? ", and \(more) more stretch\(more == 1 ? "" : "es")." : ".")
        }
        if let problem = archive.historyProblem {
            return .critical(
                "The cluster's history cannot be followed: \(problem)." + (gap.map { " \($0)" } ?? ""),
                archive.historyRemedy.map { "The server still has it; store it with: \($0)" }
                    ?? "Take a backup on the present timeline: recovery to earlier ones may need that file.")
        }
        if let history = archive.damagedHistory {
            return .critical(
                "\(capitalized(history.message)), and PostgreSQL asks for it in every recovery to an older timeline."
                    + (gap.map { " \($0)" } ?? ""),
                archive.historyRemedy.map { "The server still has it; store it with: \($0)" } ?? history.hint)
        }
        guard let newest = archive.newest ?? archive.gaps.first?.last else {
            return .warning(
                "No WAL has been archived yet.",
                "\"\(runnable("tidemark init"))\""
                    + " says what the server lacks.")
        }
        guard let gap, let first = archive.gaps.first else {
            if let breaksProblem {
                return .unknown(
                    breaksProblem,
                    "\"\(runnable("tidemark catalog status"))\""
                        + " shows what is wrong with the catalog.")
            }
            return .ok(
                archive.ownBackups.isEmpty
                    ? "Archived up to \"\(newest)\"; there is no backup yet that it could continue."
                    : "Every segment from the oldest backup to \"\(newest)\" is there.")
        }
        return .critical(
            gap,
            first.wayOut
                ?? (archive.unreached != nil
                    ? "Nothing after the gap can be recovered: take a backup now."
                    : "Moments after the gap can be reached only from later backups."),
            value: Double(archive.missing))
    }

    /// How much would be lost if the server failed now: seconds since the oldest commit that no recovery would bring
    /// back; nil when unknown.
    var loss: Double? {
        guard let archive, archive.unreached != nil else { return waiting?.oldestCommit }
        // WAL after a gap is lost until the next backup, archived or not.
        guard let end = archive.reachEnd else { return nil }
        return max(0, age(end), waiting?.oldestCommit ?? 0)
    }

    /// Which part of the server's pg_wal could not be read, as a sentence.
    var unreadableWaiting: String? {
        waiting?.unreadable.map { "Segment \"\($0)\" in pg_wal, which waits to be archived, could not be read." }
    }

    /// Why no recovery would bring back anything the server has or writes, and what to do; nil when one would.
    var totalLoss: (reason: String, nextStep: String)? {
        guard let archive else { return nil }
        if let ownCluster, !ownCluster.isKnown {
            return (
                "The repository has no place for the cluster in the data directory (\(ownCluster.folderName)).",
                "Run \"\(runnable("tidemark init"))\" and take a backup."
            )
        }
        if archive.windowStart == nil || archive.windowEnd == nil, archive.unreached == nil {
            return (
                reach,
                archive.historyRemedy.map { "The server still has the missing history; store it with: \($0)" }
                    ?? "Run \"\(runnable("tidemark backup"))\"."
            )
        }
        return nil
    }

    func lossVerdict(_ limits: Limits) -> Verdict {
        guard let archive else { return needsArchive }
        if let gap = archive.unreached {
            let found =
                archive.reachEnd.map { "Nothing after \(wholeSeconds($0)) can be recovered: \(gap.sentence)." }
                ?? "Nothing can be recovered: \(gap.sentence)."
            return .critical(found, gap.wayOut ?? "Take a backup now.", value: loss)
        }
        if let totalLoss { return .critical("Everything would be lost. \(totalLoss.reason)", totalLoss.nextStep) }
        guard let waiting else { return .unknown(waitingProblem ?? "pg_wal could not be read.") }
        guard let seconds = waiting.oldestCommit else {
            return .unknown(
                unreadableWaiting ?? "The segments that wait could not be read.",
                "Are they damaged, and may tidemark's user read pg_wal?")
        }
        return limits.judge(
            seconds,
            seconds == 0
                ? "Every commit is in the repository."
                : "The oldest commit that is only on the server is \(duration(seconds)) old.",
            "Is archiving failing, or archive_timeout longer than the limit?")
    }

    func windowVerdict(_ limits: Limits) -> Verdict {
        guard let archive else { return needsArchive }
        guard let start = archive.windowStart, let end = archive.windowEnd else {
            return .critical(
                reach,
                archive.unreached?.wayOut
                    ?? archive.historyRemedy.map { "The server still has the missing history; store it with: \($0)" }
                    ?? "Run \"\(runnable("tidemark backup"))\".",
                value: 0)
        }
        let seconds = max(0, Double(end.microseconds - start.microseconds) / 1_000_000)
        if let gap = archive.unreached {
            return .critical(
                reach,
                gap.wayOut
                    ?? "\"\(runnable("tidemark backup"))\" takes a backup: from then on the present can be reached.",
                value: seconds)
        }
        return limits.judge(
            seconds, reach,
            "Backups are kept too short, or there is a gap; "
                + "\"\(runnable("tidemark list"))\" shows what is there.")
    }

    /// The longest of the last three good drills, scaled to the cluster's present size.
    public var expectedDowntime: Double? {
        let drills = jobs.filter { $0.kind == .drill && $0.result == .success }.suffix(3)
        let size = archive?.backups.complete.last.map { Double($0.size) }
        return drills.map { drill in
            let seconds = drill.facts["seconds"].flatMap(Double.init) ?? Double(drill.duration) / 1000
            guard let size, let then = drill.facts["size"].flatMap(Double.init), then > 0, size > then else {
                return seconds
            }
            return seconds * size / then
        }.max()
    }

    func downtimeVerdict(_ limits: Limits) -> Verdict {
        guard let seconds = expectedDowntime else {
            return limits.warning == nil && limits.critical == nil
                ? .ok("No drill has measured it yet, and no limit is set.")
                : .warning("No drill has measured it yet.", "Run \"\(runnable("tidemark drill"))\".")
        }
        return limits.judge(
            seconds, "A recovery takes about \(duration(seconds)), as the last drills did.",
            "Take backups more often, so that less WAL is replayed, or give recovery more jobs and a faster disk.")
    }
}

/// A time without its fraction of a second: `2026-11-20 10:15:00+00`.
public func wholeSeconds(_ moment: Moment) -> String {
    Moment(microseconds: moment.microseconds - moment.microseconds % 1_000_000).description
}

import BaseBackup
import Configuration
import WAL

/// What is right and wrong with what the repository holds of the log, and with what could be recovered from it.
extension Observation {
    var needsArchive: Verdict {
        .critical(
            archiveProblem.map { "The repository could not be read: \($0)." } ?? "The repository could not be read.",
            archiveHint ?? "Is its file system mounted?")
    }

    var continuityVerdict: Verdict {
        guard let archive else { return needsArchive }
        if let problem = archive.historyProblem {
            return .critical(
                "The cluster's history cannot be followed: \(problem).",
                "Take a backup on the present timeline: recovery to earlier ones may need that file.")
        }
        guard let newest = archive.newest else {
            return .warning("No WAL has been archived yet.", "\"tidemark init\" says what the server lacks.")
        }
        guard let gap = archive.gaps.first else {
            return .ok(
                archive.backups.complete.isEmpty
                    ? "Archived up to \"\(newest)\"; there is no backup yet that it could continue."
                    : "Every segment from the oldest backup to \"\(newest)\" is there.")
        }
        let stretch =
            gap.count == 1
            ? "Segment \"\(gap.first)\" is missing" : "Segments \"\(gap.first)\" to \"\(gap.last)\" are missing"
        return .critical(
            stretch + (archive.gaps.count > 1 ? ", and \(archive.gaps.count - 1) more stretches." : "."),
            archive.windowStart == nil
                ? "No present moment can be recovered: take a backup now."
                : "Moments behind the gap can be reached only from later backups.",
            value: Double(archive.missing))
    }

    func lossVerdict(_ limits: Limits) -> Verdict {
        guard archive != nil else { return needsArchive }
        guard let waiting else { return .unknown(waitingProblem ?? "pg_wal could not be read.") }
        guard let seconds = waiting.oldestCommit else {
            return .unknown("The segments that wait could not be read.", "May tidemark's user read pg_wal?")
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
                "Nothing can be recovered: there is no usable backup.", "Run \"tidemark backup\".", value: 0)
        }
        let seconds = max(0, Double(end.microseconds - start.microseconds) / 1_000_000)
        return limits.judge(
            seconds, "Every moment from \(wholeSeconds(start)) to \(wholeSeconds(end)) can be reached.",
            "Backups are kept too short, or there is a gap; \"tidemark list\" shows what is there.")
    }

    /// What the last three good drills took, the longest of them, for the cluster's present size.
    var expectedDowntime: Double? {
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
                ? .ok("No drill has told yet, and no limit is set.")
                : .warning("No drill has told yet.", "Run \"tidemark drill\".")
        }
        return limits.judge(
            seconds, "A recovery takes about \(duration(seconds)), as the last drills did.",
            "Take backups more often, so that less WAL is replayed, or give recovery more jobs and a faster disk.")
    }
}

func wholeSeconds(_ moment: Moment) -> String {
    Moment(microseconds: moment.microseconds - moment.microseconds % 1_000_000).description
}

import Backups
import Jobs
import Platform
public import WAL

/// One day (UTC) of a cluster's protection: the jobs, and whether its moments can be reached.
public struct DayRecord: Sendable, Equatable {
    /// Whether the day's WAL is in the repository.
    public enum WAL: String, Sendable {
        /// Before the first backup, or after the newest commit.
        case nothing
        case whole
        /// Some of it is missing.
        case broken
    }
    /// The result of the day's jobs of one kind; the worst counts.
    public enum Outcome: Sendable, Equatable {
        case none
        case good
        case bad
    }
    /// Midnight.
    public var start: Moment
    public var wal: WAL = .nothing
    public var backup: Outcome = .none
    public var verify: Outcome = .none
    public var drill: Outcome = .none
    public var recovery: Outcome = .none

    /// `2026-11-20`
    public var date: String { String(start.iso8601.prefix(10)) }
}

extension Observation {
    /// The last `count` days, oldest first, including today.
    public func days(_ count: Int) -> [DayRecord] {
        let day: Int64 = 86_400_000_000
        let today = now.microseconds - now.microseconds % day
        return (0..<count).map { index in
            let start = today - Int64(count - 1 - index) * day
            return record(from: start, to: start + day)
        }
    }

    private func record(from start: Int64, to end: Int64) -> DayRecord {
        var record = DayRecord(start: Moment(microseconds: start))
        func isToday(_ moment: Moment) -> Bool { moment.microseconds >= start && moment.microseconds < end }
        func outcome(_ kinds: [JobKind]) -> DayRecord.Outcome {
            let jobs = jobs.filter { kinds.contains($0.kind) && isToday($0.finished) }
            return jobs.isEmpty ? .none : jobs.allSatisfy { $0.result == .success } ? .good : .bad
        }
        record.verify = outcome([.verify])
        record.drill = outcome([.drill])
        record.recovery = outcome([.recover, .recoverTable])
        record.backup = outcome([.backup])
        guard let archive else { return record }
        // A backup from before there were job records counts as well.
        if record.backup == .none, archive.backups.complete.contains(where: { isToday($0.stopTime) }) {
            record.backup = .good
        }
        guard let first = archive.keptFrom ?? archive.backups.complete.map(\.startTime).min(),
            let last = archive.windowEnd
        else {
            return record
        }
        // Until now: without commits there is nothing that could be missing.
        if first.microseconds < end && max(last, now).microseconds >= start { record.wal = .whole }
        for gap in archive.gaps {
            let from = gap.from?.microseconds ?? first.microseconds
            let to = gap.to?.microseconds ?? last.microseconds
            if from < end && to >= start { record.wal = .broken }
        }
        return record
    }

    /// The two most important numbers, in words.
    public var twoNumbers: [(question: String, answer: String, remark: String)] {
        let downtime = expectedDowntime
        return [
            ("I would lose", lossAnswer, lossRemark),
            (
                "I would be down", downtime.map { "about " + duration($0) } ?? "unknown",
                downtime == nil
                    ? "no recovery was rehearsed yet: "
                        + "\"\(runnable("tidemark drill"))\"" : "as the last drills were"
            ),
        ]
    }

    private var lossAnswer: String {
        guard let archive else { return "unknown" }
        if archive.unreached != nil && archive.reachEnd == nil || totalLoss != nil { return "everything" }
        return loss.map { $0 == 0 ? "nothing" : duration($0) } ?? "unknown"
    }

    private var lossRemark: String {
        if archive == nil { return archiveProblem ?? "the repository could not be read" }
        if let gap = archive?.unreached {
            return "\(gap.sentence): nothing after \(gap.contradiction == nil ? "the gap" : "it") can be recovered"
        }
        if let totalLoss { return String(totalLoss.reason.dropLast()) }
        return loss.map { $0 == 0 ? "every commit is in the repository" : "of commits that are only on the server" }
            ?? waitingProblem ?? unreadableWaiting.map { String($0.dropLast()) }
            ?? "it is not known what pg_wal contains"
    }

    /// `Every moment from … to … can be reached.`, and the reason why no more can.
    public var reach: String {
        guard let archive else { return archiveProblem.map { "The repository could not be read: \($0)." } ?? "" }
        if let start = archive.windowStart, let end = archive.windowEnd {
            return "Every moment from \(wholeSeconds(start)) to \(wholeSeconds(end)) can be reached"
                + (archive.unreached.map { ", but not to now: \($0.sentence)." } ?? ".")
        }
        let count = archive.backups.complete.count
        guard count > 0 else { return "Nothing can be recovered: there is no usable backup." }
        if archive.newestBackup == nil, let damaged = archive.newestDamaged {
            return "Nothing can be recovered: backup \"\(damaged.label)\" is damaged: \(damaged.reason)."
        }
        if let gap = archive.unreached { return "Nothing can be recovered: \(gap.sentence), which every backup needs." }
        if let problem = archive.historyProblem {
            return "Nothing can be recovered on timeline \(archive.timeline): \(problem)."
        }
        return "Nothing can be recovered on timeline \(archive.timeline): the WAL that "
            + (count == 1 ? "the backup needs" : "the \(count) backups need") + " is not on its history."
    }
}

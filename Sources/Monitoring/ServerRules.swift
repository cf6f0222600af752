import Archiving
import Configuration
import Platform
import Recovery
import Setup
import WAL

/// Rules for the server and its archiving.
extension Observation {
    private var needsServer: Verdict { .unknown("The server could not be queried.") }

    var serverVerdict: Verdict {
        if let foreignServer {
            return .critical(
                "The server that conninfo reaches is not the one in data_directory: it has \(foreignServer).",
                "Correct conninfo or data_directory in the configuration.")
        }
        guard let server else {
            return .critical(
                serverProblem.map { "The server could not be queried: \($0)." } ?? "The server could not be queried.",
                serverHint ?? "Is it running, and is conninfo right?")
        }
        if let pausedReplay {
            let settings = pausedReplay.settings.map { "\($0.name) = \($0.demanded)" }.joined(separator: ", ")
            return .critical(
                "A standby answers, but has stopped replaying. \(pausedReplay.detail ?? "")",
                "Set \(settings) on the standby, and restart it.")
        }
        return .ok(
            "\(server.isStandby ? "A standby" : "A primary") answers, PostgreSQL \(versionText(server.version)).")
    }

    var settingsVerdict: Verdict {
        guard let server else { return needsServer }
        let wrong = server.findings.filter { $0.verdict != .good }
        guard !wrong.isEmpty else { return .ok("The server's settings are as they should be.") }
        let list = wrong.map { "\($0.name) is \"\($0.current)\"" }.joined(separator: ", ")
        let isCritical = wrong.contains { $0.verdict == .required }
        let message = "\(list). \(wrong[0].reason)"
        let step =
            "\"\(runnable("tidemark init"))\" shows what to set, \"\(runnable("tidemark init --write"))\" sets it."
        return isCritical ? .critical(message, step) : .warning(message, step)
    }

    func clockVerdict(_ limits: Limits) -> Verdict {
        guard let server else { return needsServer }
        var worst = abs(server.clockOffset)
        var message = "The server's clock and this machine's differ by \(duration(worst))."
        if let commit = archive?.newestCommit, -age(commit) > worst {
            worst = -age(commit)
            message = "The newest commit in the repository is \(duration(worst)) in the future."
        }
        return limits.judge(
            worst, message, "Synchronize both clocks with NTP: target times refer to the server's clock.")
    }

    var versionVerdict: Verdict {
        if let ownCluster, !ownCluster.isKnown {
            return .critical(
                "The repository has no place for the cluster in the data directory (\(ownCluster.folderName)).",
                "After initdb or pg_upgrade, run \"\(runnable("tidemark init"))\" and take a backup.")
        }
        guard let server else { return needsServer }
        let major = server.version / 10000
        switch major {
        case ..<13:
            return .critical("PostgreSQL \(major) is not supported.", "Upgrade the server; 13 is the oldest version.")
        case 13...18: return .ok("PostgreSQL \(major) is supported.")
        default:
            return .warning(
                "PostgreSQL \(major) is newer than this tidemark.",
                "Upgrade tidemark: segments it cannot read are stored, but not checked.")
        }
    }

    func archivingVerdict(_ limits: Limits) -> Verdict {
        guard let waiting else { return .unknown(waitingProblem ?? "pg_wal could not be read.") }
        let failing = server?.isFailing == true
        if failing, waiting.oldestReady >= 30 || knownFailure?.isRefusal == true {
            return standstill(waiting, limits)
        }
        if !failing, waiting.ready > 0, let quiet = server?.archiverQuiet, min(quiet, waiting.oldestReady) >= 45 {
            return silence(waiting, quiet, limits)
        }
        if let standby = standbyVerdict(waiting, limits) { return standby }
        let last = server?.lastFailed.map { " The last failure was with \"\($0)\"." } ?? ""
        let message =
            waiting.ready == 0
            ? failing
                ? "The last attempt to archive failed.\(last)" : "Nothing is waiting to be archived." + untilPromotion
            : (waiting.ready == 1 ? "A finished segment" : "The oldest of \(waiting.ready) finished segments")
                + " has been waiting for \(duration(waiting.oldestReady))." + (failing ? last : "")
        return limits.judge(
            waiting.oldestReady, message,
            "Look for \"archive command failed\" and tidemark's messages before it in the server's log.")
    }

    /// Whether it is a standby that leaves archiving to others: PostgreSQL starts an archiver on a standby only if
    /// `archive_mode` is `always`.
    private var isSilent: Bool {
        server?.isStandby == true && server?.findings.first { $0.name == "archive_mode" }?.current == "on"
    }
    private var untilPromotion: String {
        isSilent ? " A standby with archive_mode = on archives nothing until it is promoted." : ""
    }

    /// A standby that leaves archiving to others, where no others archive; nil everywhere else.
    private func standbyVerdict(_ waiting: WaitingObservation, _ limits: Limits) -> Verdict? {
        guard isSilent, waiting.unarchived > 0, let age = waiting.oldestCommit,
            limits.status(of: age) != .ok || waiting.unarchived >= 3
        else { return nil }
        let replayed = waiting.unarchived == 1 ? "segment" : "\(waiting.unarchived) segments"
        return Verdict(
            limits.status(of: age) == .critical ? .critical : .warning,
            "This standby archives nothing until it is promoted (archive_mode = on), and nobody else has archived the last "
                + "\(replayed) that it has replayed.",
            "If the repository is this standby's own, set archive_mode = always and restart it. If it is the primary's as well, "
                + "look for the cause there: \"\(runnable("tidemark check --only archiving", onAnotherHost: true))\".",
            age)
    }

    /// What tidemark said of the file that the server says it is failing with.
    private var knownFailure: PushFailure? {
        guard let pushFailure, pushFailure.file == server?.lastFailed else { return nil }
        return pushFailure
    }

    /// The archiver has been failing with one file for longer than PostgreSQL's own retries in a row take, or for a
    /// permanent reason. It takes the oldest file first, so later ones aren't archived either.
    private func standstill(_ waiting: WaitingObservation, _ limits: Limits) -> Verdict {
        let file = server?.lastFailed.map { "\"\($0)\"" } ?? "the oldest file"
        let since =
            waiting.ready == 0
            ? ""
            : "; the oldest of \(waiting.ready) has been waiting for "
                + duration(waiting.oldestReady)
        let atLeastWarning =
            limits.status(of: waiting.oldestReady) == .critical ? CheckResult.Status.critical : .warning
        let message = "Archiving is stuck at \(file)\(since)."
        guard let failure = knownFailure else {
            let next = "Look for \"archive command failed\" in the server's log, and for the messages before it."
            return Verdict(atLeastWarning, message, next, waiting.oldestReady)
        }
        let reason = "tidemark says: \(failure.message)." + (failure.detail.map { " \($0)" } ?? "")
        return Verdict(
            failure.isRefusal ? .critical : atLeastWarning, "\(message) \(reason)",
            failure.hint
                ?? (failure.isRefusal ? wayOut(failure.file) : "Fix the cause; PostgreSQL tries again by itself."),
            waiting.oldestReady)
    }

    /// The next step for a file that will be refused again and again.
    private func wayOut(_ file: String) -> String {
        let copy =
            "If a standby has an intact copy of the file in its pg_wal, store that with \"\(runnable("tidemark archive-push PATH"))\": this "
            + "server then continues by itself."
        guard SegmentName(file) != nil else { return copy }
        let status = "pg_wal/archive_status/\(file)"
        return copy + " If there is none, its WAL is lost: make the archiver skip it with \"mv \(status).ready "
            + "\(status).done\" in the data directory, and take a backup at once."
    }

    /// Nothing is archived, and nothing fails: a command that ends with a status above 125 or by a signal ends the
    /// archiver process, which then counts no failure (`pgarch_archiveXlog`, src/backend/postmaster/pgarch.c), nor does
    /// one that hangs.
    private func silence(_ waiting: WaitingObservation, _ quiet: Double, _ limits: Limits) -> Verdict {
        Verdict(
            limits.status(of: waiting.oldestReady) == .critical ? .critical : .warning,
            "Archiving is stuck: nothing has been archived for \(duration(quiet)); the oldest of \(waiting.ready) has been waiting "
                + "for \(duration(waiting.oldestReady)).",
            "Does archive_command hang (ps shows it), can't its program be found, or is it killed? PostgreSQL counts none of these as a "
                + "failure, but its log shows the last two.",
            waiting.oldestReady)
    }

    func backlogVerdict(_ limits: Limits) -> Verdict {
        guard let waiting else { return .unknown(waitingProblem ?? "pg_wal could not be read.") }
        return limits.judge(
            Double(waiting.ready),
            waiting.ready == 1 ? "1 finished segment waits." : "\(waiting.ready) finished segments wait.",
            "If archiving works, it is too slow: check the repository's storage, and compress_level.")
    }
}

/// `15.20` for 150020.
func versionText(_ version: Int) -> String { "\(version / 10000).\(version % 10000)" }

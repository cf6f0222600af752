import Configuration
import DataDirectory
import Platform

/// Rules for directories, and for notifications.
extension Observation {
    func spaceVerdict(_ limits: Limits) -> Verdict {
        guard isSpaceLimited else { return .ok("The repository's storage reports no limit.") }
        guard let space, space.total > 0 else { return .unknown(spaceProblem ?? "The repository could not be read.") }
        let percent = Double(space.free) / Double(space.total) * 100
        return limits.judge(
            percent,
            "\(Quantity.pretty(bytes: space.free)) of \(Quantity.pretty(bytes: space.total)) are free (\(Int(percent)) %).",
            "Give it a larger disk, or keep backups shorter (\"\(runnable("tidemark expire --dry-run"))\").")
    }

    func growthVerdict(_ limits: Limits) -> Verdict {
        guard isSpaceLimited else { return .ok("The repository's storage reports no limit.") }
        guard let space else { return .unknown(spaceProblem ?? "The repository could not be read.") }
        guard let shrinking = space.shrinking else { return .ok("It is too early to tell.") }
        guard shrinking > 0 else { return .ok("Free space is not shrinking.") }
        let seconds = Double(space.free) / shrinking * 86_400
        guard seconds < 3650 * 86_400 else { return .ok("The disk will not be full for years.") }
        return limits.judge(
            seconds,
            "At \(Quantity.pretty(bytes: Int64(min(shrinking, 1e18)))) a day the disk is full in \(duration(seconds)).",
            "Give it a larger disk, or keep backups shorter (\"\(runnable("tidemark expire --dry-run"))\").")
    }

    var placesVerdict: Verdict {
        if let placesProblem { return .unknown(placesProblem) }
        guard let nested else { return .ok("Repository, state, scratch and data directories are separate.") }
        return .critical(
            "The \(nested.message): \(nested.detail ?? "")", nested.hint ?? "Move one of them.")
    }

    var permissionsVerdict: Verdict {
        guard let first = permissions.first(where: \.isCritical) ?? permissions.first else {
            return .ok("Repository, state, configuration and secrets are closed to others.")
        }
        let more = permissions.count > 1 ? " (and \(permissions.count - 1) more)" : ""
        return first.isCritical
            ? .critical(first.problem + more, "Run \"\(first.remedy)\".")
            : .warning(first.problem + more, "Run \"\(first.remedy)\".")
    }

    var notificationsVerdict: Verdict {
        if let undeliveredProblem { return .unknown(undeliveredProblem) }
        guard let undelivered else { return .ok("No recipients are configured.") }
        guard undelivered.count > 0, undelivered.age > 600 else {
            guard !givenUp.isEmpty else { return .ok("Every message was delivered.") }
            let receivers = Set(givenUp).sorted().map { "\"\($0)\"" }.joined(separator: ", ")
            return .warning(
                "\(givenUp.count) message\(givenUp.count == 1 ? " was" : "s were") given up within the last week: \(receivers) "
                    + "could not be reached for a day.",
                "\"\(runnable("tidemark history"))\" shows what happened, \"\(runnable("tidemark notify --test"))\" whether everybody can be reached.",
                value: Double(givenUp.count))
        }
        return .warning(
            "\(counted(undelivered.count, "message")) \(undelivered.count == 1 ? "waits" : "wait") for delivery, the oldest for "
                + "\(duration(undelivered.age)).",
            "Run \"\(runnable("tidemark notify --deliver"))\" and see why.", value: Double(undelivered.count))
    }
}

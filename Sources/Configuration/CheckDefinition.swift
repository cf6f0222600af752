/// One thing `tidemark check` looks at: its id, what it means, and which limits it has.
///
/// Each may be given `<id>_warning` and `<id>_critical` where it measures something, and `<id>_silenced` with a reason, in
/// the section `[check]` or, for one cluster, `[check NAME]`.
public struct CheckDefinition: Sendable, Equatable {
    public enum Measure: Sendable, Equatable {
        case duration
        case percent
        case count
        /// Right or wrong, nothing in between.
        case none
    }
    public let check: Check
    /// What is looked at, for tables and documentation.
    public let subject: String
    public let measure: Measure
    /// Whether less is worse.
    public let lowIsBad: Bool
    let warning: String?
    let critical: String?
    let meaning: String

    private init(
        _ check: Check, _ measure: Measure, warning: String? = nil, critical: String? = nil, lowIsBad: Bool = false,
        _ subject: String, _ meaning: String
    ) {
        (self.check, self.measure, self.warning, self.critical) = (check, measure, warning, critical)
        (self.lowIsBad, self.subject, self.meaning) = (lowIsBad, subject, meaning)
    }

    /// In the order of the report.
    public static let all: [CheckDefinition] = [
        CheckDefinition(.server, .none, "connection to the server", "Whether the server can be asked."),
        CheckDefinition(
            .serverSettings, .none, "settings of the server",
            "wal_level, archive_mode, archive_command, archive_timeout, full_page_writes and what else archiving needs."
        ),
        CheckDefinition(
            .recoverySettings, .none, "settings of a finished recovery",
            "Whether recovery targets are left in the configuration of a server that has recovered: standbys made from it obey them."
        ),
        CheckDefinition(
            .archiving, .duration, warning: "10min", critical: "1h", "archiving",
            "How long the oldest finished segment has been waiting, or the archiver has been failing."),
        CheckDefinition(
            .archiveBacklog, .count, warning: "16", critical: "256", "finished segments that wait",
            "Number of segments the server has finished and not archived."),
        CheckDefinition(
            .walContinuity, .none, "WAL without gaps",
            "Whether every segment from the oldest kept backup to the last one archived is there."),
        CheckDefinition(
            .timelines, .none, "timelines",
            "Whether the archive holds a newer timeline than the server is on, which \"latest\" would mean."),
        CheckDefinition(
            .rpo, .duration, warning: "10min", critical: "1h", "data that would be lost now",
            "Age of the oldest commit that isn't in the repository yet: the recovery point objective."),
        CheckDefinition(
            .rto, .duration, "time a recovery would take",
            "What the last drills took, for the cluster's present size: the recovery time objective."),
        CheckDefinition(
            .recoveryWindow, .duration, lowIsBad: true, "how far back recovery reaches",
            "Time from the oldest reachable moment to the newest."),
        CheckDefinition(
            .backupAge, .duration, warning: "8d", critical: "10d", "newest backup's age",
            "Time since the newest complete base backup ended; a little more than its schedule."),
        CheckDefinition(
            .backupSize, .percent, warning: "50", "newest backup's size",
            "Difference from the median of the backups before it, in percent."),
        CheckDefinition(
            .backupHealth, .none, "backups",
            "Backups that are damaged, hold damaged pages, or failed the last time."),
        CheckDefinition(
            .verify, .duration, warning: "15d", critical: "60d", "last verification of the backups",
            "Time since all backups were last read, and what came of it."),
        CheckDefinition(
            .verifyWAL, .duration, warning: "15d", critical: "60d", "last verification of the WAL",
            "Time since all archived WAL was last read, and what came of it."),
        CheckDefinition(
            .drill, .duration, warning: "45d", critical: "180d", "last drill",
            "Time since a recovery was last rehearsed, and what came of it."),
        CheckDefinition(
            .repositorySpace, .percent, warning: "10", critical: "5", lowIsBad: true, "free space",
            "Free part of the repository's file system, in percent."),
        CheckDefinition(
            .repositoryGrowth, .duration, warning: "14d", critical: "3d", lowIsBad: true,
            "time until the disk is full",
            "Free space divided by its shrinking over the last days."),
        CheckDefinition(
            .clock, .duration, warning: "5s", critical: "60s", "clocks",
            "Difference between this machine's clock, the server's and the repository's."),
        CheckDefinition(
            .places, .none, "places that lie apart",
            "Whether repository, state directory, scratch directory, data directory and tablespaces lie outside of each other."
        ),
        CheckDefinition(
            .permissions, .none, "permissions",
            "Whether others may read the repository or the secrets, or change the configuration."),
        CheckDefinition(
            .version, .none, "versions",
            "Whether the server's version is supported, and its cluster the one the repository was set up for."),
        CheckDefinition(.notifications, .none, "notifications", "Whether messages could be delivered."),
    ]

    public static func named(_ id: String) -> CheckDefinition? { all.first { $0.id == id } }

    /// As the configuration and reports call it.
    public var id: String { check.rawValue }

    /// The settings that tune it.
    var settings: [Setting] {
        let limit: Setting.Kind? =
            switch measure {
            case .duration: .duration
            case .percent: .integer(0...100)
            case .count: .integer(1...1_000_000)
            case .none: nil
            }
        let bound = lowIsBad ? "below" : "above"
        return
            (limit.map {
                [
                    Setting("\(id)_warning", $0, standard: warning, "Warning \(bound) this. \(meaning)"),
                    Setting("\(id)_critical", $0, standard: critical, "Critical \(bound) this."),
                ]
            } ?? []) + [
                Setting(
                    "\(id)_silenced", .text,
                    "Reason for not minding this check; \"until YYYY-MM-DD: reason\" ends by itself.")
            ]
    }
}

/// What `tidemark check` looks at. The names stand in configurations, reports, metrics and the memory of what was told.
public enum Check: String, Sendable, CaseIterable {
    case server
    case serverSettings = "server_settings"
    case recoverySettings = "recovery_settings"
    case archiving
    case archiveBacklog = "archive_backlog"
    case walContinuity = "wal_continuity"
    case timelines
    case rpo
    case rto
    case recoveryWindow = "recovery_window"
    case backupAge = "backup_age"
    case backupSize = "backup_size"
    case backupHealth = "backup_health"
    case verify
    case verifyWAL = "verify_wal"
    case drill
    case repositorySpace = "repository_space"
    case repositoryGrowth = "repository_growth"
    case clock
    case places
    case permissions
    case version
    case notifications
}

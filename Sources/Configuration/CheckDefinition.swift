/// One check of `tidemark check`: its name, its meaning, and its limits.
///
/// Its settings are `<id>_warning` and `<id>_critical` where it measures something, and `<id>_silenced` with a reason,
/// in the section `[check]` or, for one cluster, `[check NAME]`.
public struct CheckDefinition: Sendable, Equatable {
    public enum Measure: Sendable, Equatable {
        case duration
        case percent
        case count
        /// Good or bad, without limits.
        case none
    }
    public let check: Check
    /// What is checked, for tables and documentation.
    public let subject: String
    public let measure: Measure
    /// Whether lower values are worse.
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
        CheckDefinition(.server, .none, "connection to the server", "Whether the server can be connected to."),
        CheckDefinition(
            .serverSettings, .none, "settings of the server",
            "wal_level, archive_mode, archive_command, archive_timeout, full_page_writes and other settings that archiving needs."
        ),
        CheckDefinition(
            .recoverySettings, .none, "settings of a finished recovery",
            "Whether recovery targets are left in the configuration of a server that has recovered, because standbys created from it obey them."
        ),
        CheckDefinition(
            .archiving, .duration, warning: "10min", critical: "1h", "archiving",
            "How long the oldest finished segment has been waiting, or the archiver has been failing."),
        CheckDefinition(
            .archiveBacklog, .count, warning: "16", critical: "256", "finished segments that are waiting",
            "Number of segments that the server has finished and not yet archived."),
        CheckDefinition(
            .walContinuity, .none, "WAL without gaps",
            "Whether every segment from the oldest kept backup to the last one archived is there."),
        CheckDefinition(
            .timelines, .none, "timelines",
            "Whether the archive has a newer timeline than the server's, which \"latest\" would mean."),
        CheckDefinition(
            .rpo, .duration, warning: "10min", critical: "1h", "data that would be lost now",
            "Age of the oldest commit that isn't in the repository yet: the recovery point objective."),
        CheckDefinition(
            .rto, .duration, "expected recovery time",
            "How long the last drills took, scaled to the cluster's present size: the recovery time objective."),
        CheckDefinition(
            .recoveryWindow, .duration, lowIsBad: true, "how far back recovery reaches",
            "Time from the oldest reachable moment to the newest."),
        CheckDefinition(
            .backupAge, .duration, warning: "8d", critical: "10d", "newest backup's age",
            "Time since the newest complete base backup ended. Set it a little above the interval of your backups."),
        CheckDefinition(
            .backupSize, .percent, warning: "50", "newest backup's size",
            "Difference from the median of the backups before it, in percent."),
        CheckDefinition(
            .backupHealth, .none, "backups",
            "Backups that are damaged or have damaged pages, and whether the last one failed."),
        CheckDefinition(
            .verify, .duration, warning: "15d", critical: "60d", "last verification of the backups",
            "Time since all backups were last read, and the result."),
        CheckDefinition(
            .verifyWAL, .duration, warning: "15d", critical: "60d", "last verification of the WAL",
            "Time since all archived WAL was last read, and the result."),
        CheckDefinition(
            .drill, .duration, warning: "45d", critical: "180d", "last drill",
            "Time since a recovery was last rehearsed, and the result."),
        CheckDefinition(
            .repositorySpace, .percent, warning: "10", critical: "5", lowIsBad: true, "free space",
            "Free space of the repository's file system, in percent."),
        CheckDefinition(
            .repositoryGrowth, .duration, warning: "14d", critical: "3d", lowIsBad: true,
            "time until the disk is full",
            "Time until the free space is used up, at the rate of the last days."),
        CheckDefinition(
            .clock, .duration, warning: "5s", critical: "60s", "clocks",
            "Difference between this machine's clock, the server's and the repository's."),
        CheckDefinition(
            .places, .none, "separate places",
            "Whether the repository, the state directory, the scratch directory, the data directory and the tablespaces lie outside of each other."
        ),
        CheckDefinition(
            .permissions, .none, "permissions",
            "Whether others may read the repository or the secrets, or change the configuration."),
        CheckDefinition(
            .version, .none, "versions",
            "Whether the server's version is supported, and its cluster is the one that the repository was set up for."),
        CheckDefinition(.notifications, .none, "notifications", "Whether messages could be delivered."),
    ]

    public static func named(_ id: String) -> CheckDefinition? { all.first { $0.id == id } }

    /// Its name in the configuration and in reports.
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
                    "Reason for ignoring this check; with \"until YYYY-MM-DD: reason\", up to that date.")
            ]
    }
}

/// The checks of `tidemark check`. The names are used in configurations, reports, metrics and stored states.
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

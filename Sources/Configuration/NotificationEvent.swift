/// The events of notifications, as in the setting `events`.
public enum NotificationEvent: String, Sendable, Codable, CaseIterable {
    case backupSuccess = "backup_success"
    case backupFailure = "backup_failure"
    case verifySuccess = "verify_success"
    case verifyFailure = "verify_failure"
    case drillSuccess = "drill_success"
    case drillFailure = "drill_failure"
    case expireFailure = "expire_failure"
    /// A recovery of a cluster or a table, with any result.
    case recovery
    /// The archiver has been failing for a while, or works again.
    case archiveFailing = "archive_failing"
    /// A check changed its state, for the worse or for the better.
    case check
    /// A systemd unit of tidemark failed without reporting it.
    case unitFailure = "unit_failure"
    case weeklyReport = "weekly_report"

    /// Words for several events.
    public static let groups: [String: [NotificationEvent]] = [
        "all": allCases,
        "failures": [
            .backupFailure, .verifyFailure, .drillFailure, .expireFailure, .archiveFailing, .check, .unitFailure,
        ],
    ]

    static let words = groups.keys.sorted() + allCases.map(\.rawValue)

    /// The events in a value of the setting `events`.
    static func parse(_ text: String) -> Set<NotificationEvent> {
        Set(splitList(text).flatMap { word in groups[word] ?? NotificationEvent(rawValue: word).map { [$0] } ?? [] })
    }
}

/// The words of a value such as `'a, b'`.
func splitList(_ text: String) -> [String] {
    text.split { $0 == "," || $0.isWhitespace }.map(String.init)
}

/// The settings of the sections `[retention]` and `[retention NAME]`.
public struct RetentionConfiguration: Sendable, Equatable {
    private let values: [String: ClusterConfiguration.Value]

    init(values: [String: ClusterConfiguration.Value]) { self.values = values }

    public static let weekdays = ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"]

    public static let settings: [Setting] = [
        Setting("keep_full", .integer(0...10_000), "Keep the newest N full backups."),
        Setting(
            "keep_daily", .integer(0...10_000), "Keep the first backup of each day, for the last N days that have one."),
        Setting(
            "keep_weekly", .integer(0...10_000),
            "Keep the first backup of each week, for the last N weeks that have one."),
        Setting(
            "keep_monthly", .integer(0...10_000),
            "Keep the first backup of each month, for the last N months that have one."),
        Setting("keep_days", .integer(0...36_500), "Keep all backups younger than N days."),
        Setting("recovery_window", .duration, "Keep what is needed to reach any moment in this period."),
        Setting("keep_wal", .duration, "Keep WAL for this period, whatever backups need."),
        Setting("week_starts", .choice(weekdays), standard: "monday", "The day on which a week begins, in UTC."),
        Setting(
            "month_starts", .integer(1...28), standard: "1", "The day of the month on which a month begins, in UTC."),
    ]

    public func value(_ setting: String) -> String? {
        values[setting]?.text ?? RetentionConfiguration.settings.first { $0.name == setting }?.standard
    }
    public func source(_ setting: String) -> ClusterConfiguration.Source { values[setting]?.source ?? .standard }

    public func number(_ setting: String) -> Int? { value(setting).flatMap { Int($0) } }
    public func milliseconds(_ setting: String) -> Int64? { value(setting).flatMap(Quantity.milliseconds) }
}

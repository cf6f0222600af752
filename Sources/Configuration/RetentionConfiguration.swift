/// What is to be kept: the sections `[retention]` and `[retention NAME]`.
public struct RetentionConfiguration: Sendable, Equatable {
    private let values: [String: ClusterConfiguration.Value]

    init(values: [String: ClusterConfiguration.Value]) { self.values = values }

    public static let weekdays = ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"]

    public static let settings: [Setting] = [
        Setting("keep_full", .integer(0...10_000), "Keep the newest so many full backups."),
        Setting(
            "keep_daily", .integer(0...10_000), "Keep the first backup of each of the last so many days that have one."),
        Setting(
            "keep_weekly", .integer(0...10_000),
            "Keep the first backup of each of the last so many weeks that have one."),
        Setting(
            "keep_monthly", .integer(0...10_000),
            "Keep the first backup of each of the last so many months that have one."),
        Setting("keep_days", .integer(0...36_500), "Keep all backups younger than so many days."),
        Setting("recovery_window", .duration, "Keep what it takes to reach every single moment of so long a time."),
        Setting("keep_wal", .duration, "Keep WAL for so long, whatever backups need."),
        Setting("week_starts", .choice(weekdays), standard: "monday", "The day that a week begins with, in UTC."),
        Setting(
            "month_starts", .integer(1...28), standard: "1", "The day of the month that a month begins with, in UTC."),
    ]

    public func value(_ setting: String) -> String? {
        values[setting]?.text ?? RetentionConfiguration.settings.first { $0.name == setting }?.standard
    }
    public func source(_ setting: String) -> ClusterConfiguration.Source { values[setting]?.source ?? .standard }

    public func number(_ setting: String) -> Int? { value(setting).flatMap { Int($0) } }
    public func milliseconds(_ setting: String) -> Int64? { value(setting).flatMap(Quantity.milliseconds) }
}

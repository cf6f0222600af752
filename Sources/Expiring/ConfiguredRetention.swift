public import Configuration
public import Retention

extension RetentionPolicy {
    /// The policy in the configuration.
    public init(_ configuration: RetentionConfiguration) {
        self.init()
        // 0 turns off a rule, also one that another section sets; it isn't a rule that keeps nothing.
        func count(_ setting: String) -> Int? { configuration.number(setting).flatMap { $0 > 0 ? $0 : nil } }
        func duration(_ setting: String) -> Int64? { configuration.milliseconds(setting).flatMap { $0 > 0 ? $0 : nil } }
        keepFull = count("keep_full")
        keepDaily = count("keep_daily")
        keepWeekly = count("keep_weekly")
        keepMonthly = count("keep_monthly")
        keepDays = count("keep_days")
        recoveryWindow = duration("recovery_window")
        keepWAL = duration("keep_wal")
        let day = configuration.value("week_starts").flatMap { RetentionConfiguration.weekdays.firstIndex(of: $0) }
        weekStarts = day.flatMap(Weekday.init) ?? .monday
        monthStarts = configuration.number("month_starts") ?? 1
    }
}

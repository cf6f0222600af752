import WAL

/// The rules of retention. Every rule is optional; a backup is kept when any of them keeps it.
public struct RetentionPolicy: Sendable, Equatable {
    public enum Weekday: Int, Sendable, CaseIterable {
        case monday, tuesday, wednesday, thursday, friday, saturday, sunday
    }

    /// The newest full backups, this many.
    public var keepFull: Int?
    /// The first backup of each of the last days, weeks and months that have one, this many.
    public var keepDaily: Int?
    public var keepWeekly: Int?
    public var keepMonthly: Int?
    /// All backups younger than this many days.
    public var keepDays: Int?
    /// How far back every moment can be reached, in milliseconds.
    public var recoveryWindow: Int64?
    /// How long WAL is kept even if no backup needs it, in milliseconds.
    public var keepWAL: Int64?
    /// The day a week begins with.
    public var weekStarts = Weekday.monday
    /// The day of the month that a month begins with, 1 to 28.
    public var monthStarts = 1

    public init() {}

    /// Whether no rule is set: then nothing is ever removed.
    public var isEmpty: Bool {
        keepFull == nil && keepDaily == nil && keepWeekly == nil && keepMonthly == nil && keepDays == nil
            && recoveryWindow == nil && keepWAL == nil
    }

    /// Whether a rule concerns backups. Without one all backups are kept.
    var concernsBackups: Bool {
        keepFull != nil || keepDaily != nil || keepWeekly != nil || keepMonthly != nil || keepDays != nil
            || recoveryWindow != nil
    }
}

/// The periods that the daily, weekly and monthly rules count, in UTC.
enum RetentionPeriod {
    case day, week, month

    /// Numbers periods in their order.
    func number(of moment: Moment, _ policy: RetentionPolicy) -> Int {
        let day = RetentionPeriod.day(of: moment)
        switch self {
        case .day: return day
        // Day 0, 1 January 1970, was a Thursday.
        case .week: return floorDivide(day + 3 - policy.weekStarts.rawValue, 7)
        case .month:
            let parts = moment.civil
            return parts.year * 12 + parts.month - 1 - (parts.day < policy.monthStarts ? 1 : 0)
        }
    }

    /// `2026-11-20`, `2026-W47`, `2026-11`. Weeks have their ISO numbers when they begin on Monday, else their first
    /// day.
    func name(of moment: Moment, _ policy: RetentionPolicy) -> String {
        switch self {
        case .day: return String(moment.description.prefix(10))
        case .month:
            let number = number(of: moment, policy)
            let month = number % 12 + 1
            return "\(number / 12)-\(month < 10 ? "0" : "")\(month)"
        case .week:
            let first = number(of: moment, policy) * 7 - 3 + policy.weekStarts.rawValue
            guard policy.weekStarts == .monday else { return "the week from \(RetentionPeriod.date(first))" }
            // A week belongs to the year that its Thursday is in.
            let thursday = Moment(microseconds: Int64(first + 3) * 86_400_000_000)
            let newYear = RetentionPeriod.firstDay(ofYear: thursday.civil.year)
            let week = (first + 3 - newYear) / 7 + 1
            return "\(thursday.civil.year)-W\(week < 10 ? "0" : "")\(week)"
        }
    }

    private static func day(of moment: Moment) -> Int { floorDivide(Int(moment.microseconds / 1_000_000), 86_400) }

    private static func date(_ day: Int) -> String {
        String(Moment(microseconds: Int64(day) * 86_400_000_000).description.prefix(10))
    }

    private static func firstDay(ofYear year: Int) -> Int {
        let before = year - 1
        return before * 365 + before / 4 - before / 100 + before / 400 - 719_162
    }
}

private func floorDivide(_ value: Int, _ by: Int) -> Int { (value - (value % by + by) % by) / by }

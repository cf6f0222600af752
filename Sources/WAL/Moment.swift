import Messages

/// A point in time as PostgreSQL counts it: whole microseconds, here since 1970-01-01 UTC.
public struct Moment: Hashable, Comparable, Sendable {
    /// Microseconds since 1970-01-01 00:00:00 UTC.
    public let microseconds: Int64

    /// Values further than 146,000 years from 1970, which occur only in damaged or hostile input, are clamped, so that
    /// the difference of two moments never overflows.
    public init(microseconds: Int64) { self.microseconds = min(max(microseconds, -Moment.bound), Moment.bound) }
    private static let bound: Int64 = (1 << 62) - 1

    /// From a `TimestampTz` as WAL records hold it: microseconds since 2000-01-01 UTC
    /// (src/include/datatype/timestamp.h).
    public init(postgres: Int64) {
        let (sum, overflows) = postgres.addingReportingOverflow(Moment.postgresEpoch)
        self.init(microseconds: overflows ? .max : sum)
    }
    public var postgres: Int64 { microseconds - Moment.postgresEpoch }
    private static let postgresEpoch: Int64 = 946_684_800_000_000

    public static func < (a: Self, b: Self) -> Bool { a.microseconds < b.microseconds }
}

extension Moment: CustomStringConvertible {
    /// `2026-11-20 08:12:45.912454+00`, as PostgreSQL shows a timestamptz in UTC; whole seconds have no fraction, and
    /// trailing zeros of a fraction are left out.
    public var description: String { text(separator: " ", zone: "+00") }

    /// `2026-11-20T08:12:45.912454Z`: ISO 8601, for JSON.
    public var iso8601: String { text(separator: "T", zone: "Z") }

    /// `20261105T020000Z`: a backup's label, whole seconds.
    public var compact: String {
        let parts = civil
        return "\(padded(parts.year, to: 4))\(padded(parts.month, to: 2))\(padded(parts.day, to: 2))T"
            + "\(padded(parts.hour, to: 2))\(padded(parts.minute, to: 2))\(padded(parts.second, to: 2))Z"
    }

    private func text(separator: String, zone: String) -> String {
        let parts = civil
        var text =
            "\(padded(parts.year, to: 4))-\(padded(parts.month, to: 2))-\(padded(parts.day, to: 2))\(separator)"
            + "\(padded(parts.hour, to: 2)):\(padded(parts.minute, to: 2)):\(padded(parts.second, to: 2))"
        if parts.microsecond != 0 {
            var fraction = padded(parts.microsecond, to: 6)
            while fraction.hasSuffix("0") { fraction.removeLast() }
            text += "." + fraction
        }
        return text + zone
    }

    /// Date and time of day in UTC, proleptic Gregorian.
    public var civil: (year: Int, month: Int, day: Int, hour: Int, minute: Int, second: Int, microsecond: Int) {
        let (seconds, microsecond) = floorDivide(Int(microseconds), 1_000_000)
        let (days, second) = floorDivide(seconds, 86_400)
        // Days to civil date, eras of 400 years starting on 1 March.
        let (era, dayOfEra) = floorDivide(days + 719_468, 146_097)
        let yearOfEra = (dayOfEra - dayOfEra / 1460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
        let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let shifted = (5 * dayOfYear + 2) / 153
        let month = shifted < 10 ? shifted + 3 : shifted - 9
        let year = era * 400 + yearOfEra + (month <= 2 ? 1 : 0)
        return (
            year, month, dayOfYear - (153 * shifted + 2) / 5 + 1, second / 3600, second / 60 % 60, second % 60,
            microsecond
        )
    }
}

private func floorDivide(_ value: Int, _ by: Int) -> (quotient: Int, remainder: Int) {
    let remainder = (value % by + by) % by
    return ((value - remainder) / by, remainder)
}

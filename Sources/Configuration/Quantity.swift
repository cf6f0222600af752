/// Numbers with postgresql.conf's units.
public enum Quantity {
    /// `256MB`, `1GB`, `8kB`; a bare number counts bytes. Units are powers of 1024 and case-sensitive.
    public static func bytes(_ text: String) -> Int64? {
        scaled(text, ["": 1, "B": 1, "kB": 1 << 10, "MB": 1 << 20, "GB": 1 << 30, "TB": 1 << 40])
    }

    /// `30s`, `5min`, `12h`, `7d`, in milliseconds; a bare number counts seconds. Nil as well for more than a hundred
    /// years, which would overflow times.
    public static func milliseconds(_ text: String) -> Int64? {
        let units: [String: Int64] = ["": 1000, "ms": 1, "s": 1000, "min": 60_000, "h": 3_600_000, "d": 86_400_000]
        return scaled(text, units).flatMap { $0 <= 36_500 * 86_400_000 ? $0 : nil }
    }
    static let durationHint = "Valid units are \"ms\", \"s\", \"min\", \"h\" and \"d\"; the longest is 36500d."

    /// Bytes as PostgreSQL's `pg_size_pretty` shows them: `8192 bytes`, `16 MB`, `3214 MB`, `12 GB`.
    public static func pretty(bytes: Int64) -> String {
        var value = bytes
        // pg_size_pretty changes the unit at ten times its size and rounds half away from zero
        // (src/backend/utils/adt/dbsize.c).
        if value < 10 * 1024 { return "\(value) bytes" }
        value /= 512
        for unit in ["kB", "MB", "GB", "TB"] {
            if value < 20 * 1024 - 1 || unit == "TB" { return "\((value + 1) / 2) \(unit)" }
            value /= 1024
        }
        return "\(bytes) bytes"
    }

    private static func scaled(_ text: String, _ units: [String: Int64]) -> Int64? {
        let digits = text.prefix { $0.isASCII && $0.isNumber }
        let unit = text.dropFirst(digits.count).drop { $0 == " " }
        guard let number = Int64(digits), let factor = units[String(unit)] else { return nil }
        let (product, overflow) = number.multipliedReportingOverflow(by: factor)
        return overflow ? nil : product
    }
}

import Glibc
import Platform
import WAL

/// The wall-clock time in `zone`, with its abbreviation; nil where that is UTC.
func localTime(_ moment: Moment, zone: String?) -> String? {
    let (parts, name) = withTimeZone(zone.map { $0.contains("/") ? ":\($0)" : $0 }) {
        var seconds = time_t(moment.microseconds / 1_000_000)
        var parts = tm()
        localtime_r(&seconds, &parts)
        return (parts, parts.tm_zone.map { String(cString: $0) } ?? "")
    }
    if name == "UTC" || name == "GMT" { return nil }
    func two(_ value: some BinaryInteger) -> String { value < 10 ? "0\(value)" : "\(value)" }
    let fraction = moment.microseconds % 1_000_000
    let digits = fraction == 0 ? "" : "." + String(String(1_000_000 + fraction).dropFirst())
    return "\(parts.tm_year + 1900)-\(two(parts.tm_mon + 1))-\(two(parts.tm_mday)) "
        + "\(two(parts.tm_hour)):\(two(parts.tm_min)):\(two(parts.tm_sec))\(digits) \(name)"
}

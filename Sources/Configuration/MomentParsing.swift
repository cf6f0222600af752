import Glibc
public import Platform
public import WAL

/// A time stamp that can't be parsed.
public struct MomentError: Explained, Equatable {
    public let message: String
    public let hint: String?
    init(
        _ message: String, hint: String = "Write it like 2026-11-05 09:59:00+01 or \"2026-11-05 09:59 Europe/Berlin\"."
    ) {
        self.message = message
        self.hint = hint
    }
}

extension Moment {
    /// Reads `YYYY-MM-DD HH:MM[:SS[.ffffff]] ZONE`, the part of PostgreSQL's
    /// timestamptz input that means the same on every server.
    ///
    /// ZONE is `Z`, `UTC`, a numeric offset, or a full name such as
    /// `Europe/Berlin`.  Abbreviations are refused: their meaning is a server
    /// setting.  A missing zone is refused too, unless `zone` supplies one.
    public init(parsing text: String, zone defaultZone: String? = nil) throws(MomentError) {
        var rest = Substring(text)
        func number(_ digits: ClosedRange<Int>, _ what: String, _ range: ClosedRange<Int>) throws(MomentError) -> Int {
            let run = rest.prefix { $0.isASCII && $0.isNumber }
            guard digits.contains(run.count), let value = Int(run) else {
                throw MomentError(
                    run.isEmpty && rest.count == text.count
                        ? "\"\(text)\" is not a date and time" : "\(what) expected at \"\(rest)\" in \"\(text)\"")
            }
            guard range.contains(value) else { throw MomentError("there is no \(what) \(run) in \"\(text)\"") }
            rest = rest.dropFirst(run.count)
            return value
        }
        func take(_ mark: Character) -> Bool {
            guard rest.first == mark else { return false }
            rest = rest.dropFirst()
            return true
        }
        let year = try number(4...4, "year", 1970...9999)
        guard take("-") else { throw MomentError("date must be written YYYY-MM-DD in \"\(text)\"") }
        let month = try number(2...2, "month", 1...12)
        guard take("-") else { throw MomentError("date must be written YYYY-MM-DD in \"\(text)\"") }
        let day = try number(2...2, "day", 1...daysIn(month, year))
        guard take(" ") || take("T") else { throw MomentError("time of day missing in \"\(text)\"") }
        let hour = try number(2...2, "hour", 0...23)
        guard take(":") else { throw MomentError("time must be written HH:MM:SS in \"\(text)\"") }
        let minute = try number(2...2, "minute", 0...59)
        let second = take(":") ? try number(2...2, "second", 0...59) : 0
        var fraction = 0
        if take(".") {
            let digits = rest.prefix { $0.isASCII && $0.isNumber }
            _ = try number(1...6, "fraction of at most six digits", 0...999_999)
            fraction = Int(digits)! * [100_000, 10_000, 1000, 100, 10, 1][digits.count - 1]
        }
        let local = (daysFromCivil(year, month, day) * 86_400) + hour * 3600 + minute * 60 + second
        _ = take(" ")
        let zone = rest.isEmpty ? defaultZone.map { Substring($0) } ?? "" : rest
        guard !zone.isEmpty else {
            throw MomentError(
                "no time zone in \"\(text)\"",
                hint:
                    "Add one, for example \"\(text)+00\" or \"\(text) Europe/Berlin\"; or use --timezone or the setting timezone."
            )
        }
        let offset = try zoneOffset(String(zone), at: local)
        self.init(microseconds: Int64(local - offset) * 1_000_000 + Int64(fraction))
    }
}

/// Throws when `zone` is neither an offset nor a name this machine knows.
func checkTimeZone(_ zone: String) throws(MomentError) { _ = try zoneOffset(zone, at: 0) }

/// The offset of `zone`, in seconds east of UTC, at the wall-clock time `local`.
private func zoneOffset(_ zone: String, at local: Int) throws(MomentError) -> Int {
    if zone == "Z" || zone == "z" || zone.uppercased() == "UTC" || zone.uppercased() == "GMT" { return 0 }
    if let sign = zone.first, sign == "+" || sign == "-" {
        let body = zone.dropFirst()
        let fields =
            body.contains(":")
            ? body.split(separator: ":", omittingEmptySubsequences: false).map(String.init)
            : body.count <= 2 ? [String(body)] : [String(body.dropLast(2)), String(body.suffix(2))]
        let values = fields.compactMap { $0.allSatisfy { $0.isASCII && $0.isNumber } ? Int($0) : nil }
        guard (1...3).contains(fields.count), values.count == fields.count, values[0] <= 15,
            values.dropFirst().allSatisfy({ $0 < 60 })
        else {
            throw MomentError("invalid time zone offset \"\(zone)\"")
        }
        let seconds = values[0] * 3600 + (values.count > 1 ? values[1] * 60 : 0) + (values.count > 2 ? values[2] : 0)
        return sign == "-" ? -seconds : seconds
    }
    guard zone.contains("/"), !zone.contains(".."), zone.utf8.allSatisfy({ $0.isZoneNameByte }),
        isZoneFile("/usr/share/zoneinfo/\(zone)")
    else {
        throw MomentError(
            "unknown time zone \"\(zone)\"",
            hint: "Use a numeric offset such as +01, or a full name such as Europe/Berlin.")
    }
    func offset(atUTC seconds: Int) -> Int {
        withTimeZone(":\(zone)") {
            var time = time_t(seconds)
            var parts = tm()
            localtime_r(&time, &parts)
            return parts.tm_gmtoff
        }
    }
    // PostgreSQL's rule: in a repeated hour the later offset counts, in a skipped one the earlier; both mean standard
    // time in the usual zones.
    let before = offset(atUTC: local - 86_400)
    let after = offset(atUTC: local + 86_400)
    if before == after { return before }
    let earlierHolds = offset(atUTC: local - before) == before
    let laterHolds = offset(atUTC: local - after) == after
    return laterHolds ? after : earlierHolds ? before : before
}

/// Whether a file describes a time zone (tzfile(5)). The C library takes anything else, such as a directory, for UTC.
private func isZoneFile(_ path: String) -> Bool {
    guard (try? FileStatus(of: path))?.kind == .regular, let file = try? Descriptor(open: path, O_RDONLY) else {
        return false
    }
    var magic = [UInt8](repeating: 0, count: 4)
    let count = magic.withUnsafeMutableBytes { try? file.read(into: $0, at: 0, path: path) }
    return count == 4 && magic == Array("TZif".utf8)
}

extension UInt8 {
    fileprivate var isZoneNameByte: Bool {
        switch self {
        case UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "a")...UInt8(ascii: "z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"),
            UInt8(ascii: "/"), UInt8(ascii: "_"), UInt8(ascii: "-"), UInt8(ascii: "+"):
            true
        default: false
        }
    }
}

private func daysIn(_ month: Int, _ year: Int) -> Int {
    switch month {
    case 2: (year % 4 == 0 && year % 100 != 0) || year % 400 == 0 ? 29 : 28
    case 4, 6, 9, 11: 30
    default: 31
    }
}

/// Days from 1970-01-01, proleptic Gregorian.
private func daysFromCivil(_ year: Int, _ month: Int, _ day: Int) -> Int {
    let y = month <= 2 ? year - 1 : year
    let era = y / 400
    let yoe = y - era * 400
    let doy = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1
    return era * 146_097 + yoe * 365 + yoe / 4 - yoe / 100 + doy - 719_468
}

/// A number with zeros in front, so that it has at least `digits` digits.
@inlinable
public func padded(_ value: some BinaryInteger, to digits: Int, radix: Int = 10, uppercase: Bool = false) -> String {
    let text = String(value, radix: radix, uppercase: uppercase)
    return String(repeating: "0", count: max(0, digits - text.utf8.count)) + text
}

/// A duration for messages: `850 ms`, `12.3 s`, `4 min 10 s`, `3 h 5 min`, `2 d 4 h`.
public func durationText(milliseconds: Int64) -> String {
    let seconds = milliseconds / 1000
    switch milliseconds {
    case ..<1000: return "\(milliseconds) ms"
    case ..<60_000: return "\(seconds).\(milliseconds % 1000 / 100) s"
    case ..<3_600_000: return "\(seconds / 60) min \(seconds % 60) s"
    case ..<86_400_000: return "\(seconds / 3600) h \(seconds % 3600 / 60) min"
    default: return "\(seconds / 86_400) d \(seconds % 86_400 / 3600) h"
    }
}

/// As above; less than a millisecond is `850 µs`.
public func durationText(microseconds: Int64) -> String {
    1..<1000 ~= microseconds ? "\(microseconds) µs" : durationText(milliseconds: microseconds / 1000)
}

/// A duration that is only estimated: rounded up to `95 s` or, from two minutes on, `4 min`.
public func durationText(estimatedSeconds value: Double) -> String {
    // Computed from recorded rates, which may be anything.
    let whole = Int(min(value, 1e10).rounded(.up))
    return whole < 120 ? "\(whole) s" : "\((whole + 59) / 60) min"
}

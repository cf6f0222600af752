import Configuration
public import Monitoring
import Platform

/// The checks in the format of a plugin of Nagios or Icinga: a line, performance data, and further lines.
///
/// <https://www.monitoring-plugins.org/doc/guidelines.html>
public func nagiosReport(_ results: [CheckResult], cluster: String) -> (text: String, status: Int32) {
    let worst = CheckResult.worst(results)
    let word =
        switch worst {
        case .ok, .silenced: "OK"
        case .warning: "WARNING"
        case .critical: "CRITICAL"
        case .unknown: "UNKNOWN"
        }
    // A bar would end the text, and a line end the line.
    func clean(_ text: String) -> String { String(text.map { $0 == "|" || $0.isNewline ? " " : $0 }) }
    let wrong = results.filter { $0.status.nagios != 0 }.sorted { $0.status.severity > $1.status.severity }
    let summary =
        wrong.first.map { first in
            "\(first.id): \(first.message)" + (wrong.count > 1 ? " (and \(wrong.count - 1) more)" : "")
        } ?? "\(results.count) checks are fine."
    let data = results.compactMap { result -> String? in
        guard let value = result.value else { return nil }
        let unit =
            switch result.definition.measure {
            case .duration: "s"
            case .percent: "%"
            case .count, .none: ""
            }
        func limit(_ value: Double?) -> String {
            value.map { plain($0) + (result.definition.lowIsBad ? ":" : "") } ?? ""
        }
        return "\(result.id)=\(plain(value))\(unit);\(limit(result.warning));\(limit(result.critical))"
    }
    var text = "TIDEMARK \(word) - \(clean(cluster)): \(clean(summary))"
    if !data.isEmpty { text += " | " + data.joined(separator: " ") }
    for result in wrong {
        text += "\n[\(result.status.rawValue.uppercased())] \(result.id): \(clean(result.message))"
        if let step = result.nextStep { text += " \(clean(step))" }
    }
    for result in results where result.status == .silenced {
        text += "\n[SILENCED] \(result.id): \(clean(result.message)) Silenced: \(clean(result.silence ?? ""))."
    }
    return (text, worst.nagios)
}

/// At most three decimals, no exponent; no further from zero than 9 PB or 290 million years.
private func plain(_ value: Double) -> String {
    let thousandths = Int64((max(-9e15, min(value, 9e15)) * 1000).rounded())
    guard thousandths % 1000 != 0 else { return String(thousandths / 1000) }
    var digits = padded(abs(thousandths % 1000), to: 3)
    while digits.last == "0" { digits.removeLast() }
    return "\(thousandths < 0 ? "-" : "")\(abs(thousandths / 1000)).\(digits)"
}

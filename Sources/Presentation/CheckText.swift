import Configuration
public import Monitoring
public import Operations
import Platform
import WAL

/// The checks as a table: one that isn't ok has the reason and the next step.
///
/// - Parameter paint: colours a text by a status; the words say the same without it.
public func checkText(
    _ report: CheckReport, paint: (String, CheckResult.Status) -> String = { text, _ in text }
) -> String {
    let results = report.results
    let width = results.map(\.definition.subject.count).max() ?? 0
    var lines: [String] = []
    for result in results {
        let subject = result.definition.subject
        let pad = String(repeating: " ", count: width - subject.count)
        // Eight columns wide; colour is never the only sign.
        let status = result.status.rawValue
        let badge = paint(status + String(repeating: " ", count: 8 - status.count), result.status)
        lines.append("\(badge)  \(subject)\(pad)  \(printable(result.message))")
        let indent = String(repeating: " ", count: 10 + width + 2)
        if result.status == .silenced, let silence = result.silence {
            lines.append("\(indent)Silenced (\(result.silencedStatus?.rawValue ?? "")): \(printable(silence))")
        } else if result.status != .ok, let step = result.nextStep {
            lines.append("\(indent)→ \(printable(step))  [\(result.id)]")
        }
    }
    let worst = report.worst
    let counts = CheckResult.Status.allCases.compactMap { status -> String? in
        let count = results.count { $0.status == status }
        return count == 0 ? nil : "\(count) \(status.rawValue)"
    }
    lines.append("")
    lines.append(
        printable(
            worst.nagios == 0
                ? "Cluster \"\(report.cluster)\" is well: \(counts.joined(separator: ", "))."
                : "Cluster \"\(report.cluster)\": \(counts.joined(separator: ", "))."))
    return lines.joined(separator: "\n")
}

/// The checks as JSON.
public struct CheckDocument: Encodable {
    let cluster: String
    let time: String
    let status: String
    private let checks: [CheckRow]

    public init(_ report: CheckReport) {
        (cluster, time, status) = (report.cluster, report.observation.now.iso8601, report.worst.rawValue)
        checks = report.results.map { CheckRow($0) }
    }
}

private struct CheckRow: Encodable {
    let id: String
    let subject: String
    let status: String
    let message: String
    let nextStep: String?
    let value: Double?
    let unit: String?
    let warning: Double?
    let critical: Double?
    let silence: String?
    let silencedStatus: String?

    init(_ result: CheckResult) {
        (id, subject, status) = (result.id, result.definition.subject, result.status.rawValue)
        (message, nextStep, value) = (result.message, result.nextStep, result.value)
        unit =
            switch result.definition.measure {
            case .duration: "seconds"
            case .percent: "percent"
            case .count, .none: nil
            }
        (warning, critical) = (result.warning, result.critical)
        (silence, silencedStatus) = (result.silence, result.silencedStatus?.rawValue)
    }
}

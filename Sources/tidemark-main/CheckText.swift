import Configuration
import Glibc
import Monitoring

/// The checks as a table for people: what isn't well comes with the reason and the next step.
enum CheckText {
    static func table(_ results: [CheckResult], cluster: String) -> String {
        let width = results.map(\.definition.subject.count).max() ?? 0
        var lines: [String] = []
        for result in results {
            let subject = result.definition.subject
            let pad = String(repeating: " ", count: width - subject.count)
            lines.append("\(badge(result.status))  \(subject)\(pad)  \(result.message)")
            let indent = String(repeating: " ", count: 10 + width + 2)
            if result.status == .silenced, let silence = result.silence {
                lines.append("\(indent)Silenced (\(result.silencedStatus?.rawValue ?? "")): \(silence)")
            } else if result.status != .ok, let step = result.nextStep {
                lines.append("\(indent)→ \(step)  [\(result.id)]")
            }
        }
        let worst = CheckResult.worst(results)
        let counts = CheckResult.Status.allCases.compactMap { status -> String? in
            let count = results.count { $0.status == status }
            return count == 0 ? nil : "\(count) \(status.rawValue)"
        }
        lines.append("")
        lines.append(
            worst.nagios == 0
                ? "Cluster \"\(cluster)\" is well: \(counts.joined(separator: ", "))."
                : "Cluster \"\(cluster)\": \(counts.joined(separator: ", ")).")
        return lines.joined(separator: "\n")
    }

    /// Eight columns wide; the word says it, the colour only helps.
    private static func badge(_ status: CheckResult.Status) -> String {
        paint(status.rawValue + String(repeating: " ", count: 8 - status.rawValue.count), status)
    }

    static func paint(_ text: String, _ status: CheckResult.Status) -> String {
        let colour =
            switch status {
            case .ok: "32"
            case .warning: "33"
            case .critical: "1;31"
            case .unknown: "35"
            case .silenced: "36"
            }
        return Terminal.coloured(text, colour)
    }
}

extension Terminal {
    /// Whether standard output is a terminal whose reader wants colours (<https://no-color.org>).
    static let hasColour = isatty(1) == 1 && getenv("NO_COLOR") == nil && !isDumb
    private static var isDumb: Bool { getenv("TERM").map { String(cString: $0) == "dumb" } ?? true }

    static func coloured(_ text: String, _ code: String) -> String {
        hasColour ? "\u{1B}[\(code)m\(text)\u{1B}[0m" : text
    }
}

public import Operations
import Platform
import Repository
import Setup

/// What was created, the settings that the server lacks, and the next steps.
///
/// - Parameter hasSystemd: whether the jobs can be started by its timers.
public func initText(_ report: InitReport, hasSystemd: Bool) -> String {
    let made =
        switch report.outcome {
        case .created: "Created \(report.incarnation) in repository \"\(report.repository)\"."
        case .present: "\(report.incarnation) is already in repository \"\(report.repository)\"."
        case .rebuilt:
            "Wrote incarnation.json of \(report.incarnation) in repository \"\(report.repository)\" anew."
        }
    let timers = ["backup", "check", "verify", "drill"].map { "tidemark-\($0)@\(report.cluster).timer" }
    let schedule =
        hasSystemd
        ? ["To schedule backups and checks:", "    systemctl enable --now " + timers.joined(separator: " ")]
        : ["To schedule backups and checks, see crontab.sample in the documentation."]
    return joined([made] + settings(report) + schedule)
}

private func settings(_ report: InitReport) -> [String] {
    guard let inspection = report.inspection else {
        return [
            "The server does not accept connections, so its settings were not examined. When it does, run "
                + "\"\(runnable("tidemark init"))\" again."
        ]
    }
    let changes = inspection.changes
    guard !changes.isEmpty else { return ["The server's settings are as they should be."] }
    var lines = [
        report.isWritten
            ? "Set with ALTER SYSTEM:"
            : "For postgresql.conf ("
                + "\"\(runnable("tidemark init --write"))\" sets it):"
    ]
    for finding in changes {
        let value = escaped(finding.wanted ?? "") { $0 == "'" ? "''" : nil }
        lines.append("    \(finding.name) = '\(value)'   # was '\(finding.current)'. \(finding.reason)")
    }
    let waiting = changes.filter(\.needsRestart).map(\.name)
    if !waiting.isEmpty {
        let names = waiting.joined(separator: " and ")
        lines.append("Restart the server: \(names) take\(waiting.count == 1 ? "s" : "") effect only then.")
    }
    return lines
}

/// The same as JSON.
public struct InitDocument: Encodable {
    let cluster: String
    let repository: String
    let incarnation: String
    let created: Bool
    let rebuilt: Bool
    /// Null when the server could not be queried.
    let settings: [ServerFinding]?
    let restartNeeded: Bool

    public init(_ report: InitReport) {
        (cluster, repository) = (report.cluster, report.repository)
        incarnation = report.incarnation.folderName
        (created, rebuilt) = (report.outcome == .created, report.outcome == .rebuilt)
        (settings, restartNeeded) = (report.inspection?.findings, report.needsRestart)
    }
}

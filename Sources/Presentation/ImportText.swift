public import Archiving
import Platform

/// What was imported from an archive, and what was omitted.
public func importText(_ report: ImportReport) -> String {
    var lines = [
        "\(counted(report.stored, "file")) stored, \(report.present) already there, \(counted(report.duplicates, "duplicate")), "
            + counted(report.problems.count, "problem")
    ]
    lines += report.unfinished.map { "left out, as it is not finished: \($0)" }
    lines += report.unwritten.map { "left out, as it contains no WAL of its segment: \($0)" }
    if !report.strangers.isEmpty {
        let (shown, more) = (report.strangers.prefix(10), report.strangers.count - 10)
        lines.append(
            "left out, as they are not WAL: \(shown.joined(separator: ", "))" + (more > 0 ? ", and \(more) more" : ""))
    }
    return joined(lines)
}

/// The same as JSON.
public struct ImportDocument: Encodable {
    let stored, present, duplicates: Int
    let strangers, unfinished, unwritten: [String]
    let problems: [ProblemRow]

    public init(_ report: ImportReport) {
        (stored, present, duplicates) = (report.stored, report.present, report.duplicates)
        (strangers, unfinished, unwritten) = (report.strangers, report.unfinished, report.unwritten)
        problems = report.problems.map { ProblemRow(message: $0.message, detail: $0.detail) }
    }
}

/// A problem as JSON.
struct ProblemRow: Encodable {
    let message: String
    let detail: String?
}

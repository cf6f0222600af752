import Configuration
import Monitoring
public import Planning
import Platform
public import TableRecovery
import WAL

/// The result of a table recovery.
public func tableRecoveryText(_ report: TableRecoveryReport, _ plan: Plan) -> String {
    var lines: [String] = []
    if let last = plan.lastIncluded {
        lines.append("The tables are as after transaction \(last.xid), committed at \(last.time).")
    }
    for table in report.tables {
        if let difference = table.difference {
            var line =
                "\(table.name): \(counted(difference.recovered, "row")) then, \(difference.live) now; \(difference.missing) missing, "
                + "\(difference.changed) changed, \(difference.added) added since"
            if let inserted = table.inserted { line += "; \(inserted) put back" }
            lines.append(line)
            if let inserted = table.inserted, inserted < difference.missing {
                lines.append("    Unique or exclusion constraints don't allow the others beside rows added since.")
            }
            if !difference.uncomparedColumns.isEmpty {
                lines.append("    Not compared: \(difference.uncomparedColumns.joined(separator: ", "))")
            }
        } else if let destination = table.destination {
            lines.append("\(table.name): \(counted(table.rows ?? 0, "row")) in \(destination)")
        }
    }
    for file in report.files { lines.append("Written: \(file)") }
    if !report.leftOut.isEmpty {
        lines.append("Not copied: \(report.leftOut.joined(separator: ", "))")
    }
    lines.append(
        "Read \(size(report.backupBytes)) of the backup and \(size(report.walBytes)) of WAL; restored in "
            + "\(duration(report.restoreSeconds)), replayed in \(duration(report.replaySeconds)), copied in "
            + "\(duration(report.outputSeconds)); the temporary cluster had \(size(report.scratchBytes)).")
    return joined(lines)
}

/// The result of a table recovery as JSON.
public struct TableRecoveryDocument: Encodable {
    struct Table: Encodable {
        let schema: String
        let name: String
        let rows: Int64?
        let destination: String?
        let missing: Int64?
        let changed: Int64?
        let added: Int64?
        let inserted: Int64?
    }
    let target: String
    let backup: String
    let tables: [Table]
    let files: [String]
    let leftOut: [String]
    let notes: [String]
    let passes: Int
    let backupBytes: Int64
    let walBytes: Int64
    let scratchBytes: Int64
    let records: Int
    let voidedRecords: Int
    let restoreSeconds: Double
    let replaySeconds: Double
    let outputSeconds: Double
    let planSeconds: Double
    let promoteSeconds: Double
    let stopSeconds: Double

    public init(_ report: TableRecoveryReport, _ plan: Plan, planSeconds: Double) {
        target = plan.target.summary
        backup = plan.backup.label
        tables = report.tables.map { table in
            Table(
                schema: table.name.schema, name: table.name.name, rows: table.rows,
                destination: table.destination?.description, missing: table.difference?.missing,
                changed: table.difference?.changed, added: table.difference?.added, inserted: table.inserted)
        }
        (files, leftOut, notes, passes) = (report.files, report.leftOut, report.notes, report.passes)
        (backupBytes, walBytes) = (report.backupBytes, report.walBytes)
        (scratchBytes, records, voidedRecords) = (report.scratchBytes, report.records, report.voidedRecords)
        (restoreSeconds, replaySeconds) = (report.restoreSeconds, report.replaySeconds)
        outputSeconds = report.outputSeconds
        self.planSeconds = planSeconds
        (promoteSeconds, stopSeconds) = (report.promoteSeconds, report.stopSeconds)
    }
}

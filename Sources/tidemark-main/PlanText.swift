import Glibc
import Planning
import Platform
import Recovery
import WAL

/// A plan for people.
struct PlanText {
    let plan: Plan
    let settings: [RecoverySetting]
    let archiving: String
    let tablespaces: [CopyTablespaces.Place]
    /// Of local times; nil: the machine's own.
    let zone: String?
    /// What the two transactions changed.
    var touched: [UInt32: [String]] = [:]
    /// Seconds; nil when nothing was recovered yet.
    var estimate: (restore: Double, replay: Double)?
    let remarks: [String]

    /// Without a newline at the end.
    var text: String {
        var rows: [(String, String)] = []
        func row(_ label: String, _ text: String) { rows.append((label, text)) }
        row("target", target)
        row(
            "backup",
            "\(plan.backup.label), ended \(moment(plan.backup.stopTime)) at LSN \(plan.backup.stop), "
                + size(plan.backup.size))
        row("", plan.choice)
        row("timelines", timelines)
        for (index, range) in plan.segments.enumerated() {
            row(index == 0 ? "WAL" : "", range.count == 1 ? "\(range.first)" : "\(range.first) … \(range.last)")
        }
        row(
            "",
            "\(plan.segmentCount) segment\(plan.segmentCount == 1 ? "" : "s"), \(size(plan.logSize)); all "
                + (plan.waiting.isEmpty
                    ? "are in the archive"
                    : "but \(plan.waiting.count) are in the archive: \(plan.waiting[0])"
                        + (plan.waiting.count > 1 ? " … \(plan.waiting[plan.waiting.count - 1])" : "")
                        + " will be archived from pg_wal first")
        )
        row("stops", stop)
        row("last included", plan.lastIncluded.map(transaction) ?? "none since the backup began")
        row("first excluded", plan.firstExcluded.map(transaction) ?? "none in the archive")
        if let estimate {
            let total = estimate.restore + estimate.replay
            row(
                "takes about",
                "\(seconds(total)): restore \(seconds(estimate.restore)), replay \(seconds(estimate.replay)), as fast as the last "
                    + "recoveries")
        }
        row("archiving", archiving)
        for (index, place) in tablespaces.enumerated() {
            row(index == 0 ? "tablespaces" : "", "\(place.location) → \(place.directory)")
        }
        for (index, setting) in settings.enumerated() {
            row(index == 0 ? "settings" : "", setting.line)
        }
        for warning in plan.warnings + remarks { row("WARNING", warning) }
        let width = rows.map(\.0.count).max() ?? 0
        return rows.map { label, text in
            label + String(repeating: " ", count: width - label.count + 2) + text
        }.joined(separator: "\n")
    }

    private var target: String {
        let side = plan.target.inclusive ? "inclusive" : "exclusive"
        switch plan.target.point {
        case .time(let time): return "time \(moment(time)), \(side)"
        case .lsn, .xid: return "\(plan.target.summary), \(side)"
        case .name, .immediate, .latest: return plan.target.summary
        }
    }

    private var timelines: String {
        plan.path.steps.map { step in
            step.end.map { "\(step.timeline) until \($0)" } ?? "\(step.timeline)"
        }.joined(separator: ", then ")
    }

    private var stop: String {
        guard let stop = plan.stop else { return "at the end of the archive, LSN \(plan.end)" }
        let what =
            switch stop.record.content {
            case .commit(let mark): "the commit of transaction \(mark.xid)"
            case .abort(let mark): "the abort of transaction \(mark.xid)"
            case .restorePoint(let point): "restore point \"\(printable(point.name))\" of \(moment(point.time))"
            case .other: "the record"
            }
        return "\(stop.after ? "after" : "before") \(what) at LSN \(stop.record.start)"
    }

    private func transaction(_ mark: TransactionMark) -> String {
        "transaction \(mark.xid), \(moment(mark.time)), LSN \(mark.lsn)"
            + (touched[mark.xid].map { ", changed \($0.map { printable($0) }.joined(separator: ", "))" } ?? "")
    }

    private func seconds(_ value: Double) -> String {
        // An estimate from what others recorded.
        let whole = Int(min(value, 1e10).rounded(.up))
        return whole < 120 ? "\(whole) s" : "\((whole + 59) / 60) min"
    }

    func moment(_ moment: Moment) -> String {
        let local = localTime(moment, zone: zone)
        return local == nil ? moment.description : "\(moment) (\(local!))"
    }
}

/// The wall-clock time in `zone`, with its abbreviation; nil where that is UTC.
func localTime(_ moment: Moment, zone: String?) -> String? {
    if let zone { setenv("TZ", zone.contains("/") ? ":\(zone)" : zone, 1) }
    tzset()
    var seconds = time_t(moment.microseconds / 1_000_000)
    var parts = tm()
    localtime_r(&seconds, &parts)
    let name = parts.tm_zone.map { String(cString: $0) } ?? ""
    if name == "UTC" || name == "GMT" { return nil }
    func two(_ value: some BinaryInteger) -> String { value < 10 ? "0\(value)" : "\(value)" }
    let fraction = moment.microseconds % 1_000_000
    let digits = fraction == 0 ? "" : "." + String(String(1_000_000 + fraction).dropFirst())
    return "\(parts.tm_year + 1900)-\(two(parts.tm_mon + 1))-\(two(parts.tm_mday)) "
        + "\(two(parts.tm_hour)):\(two(parts.tm_min)):\(two(parts.tm_sec))\(digits) \(name)"
}

/// Bytes in PostgreSQL's units (`pg_size_pretty`): `912 kB`, `15 MB`.
func size(_ bytes: Int64) -> String {
    var value = bytes
    for unit in ["bytes", "kB", "MB", "GB"] {
        if value < 10_240 { return "\(value) \(unit)" }
        value = (value + 512) / 1024
    }
    return "\(value) TB"
}

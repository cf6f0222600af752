import Backups
import Configuration
public import Monitoring
import Planning
import Platform
import WAL

/// One screen: the two most important numbers, the last weeks as a picture, and what isn't ok.
///
/// - Parameter paint: colours a text by a status; the words and signs say the same without it.
public func statusText(
    _ observation: Observation, _ results: [CheckResult], days count: Int,
    paint: (String, CheckResult.Status) -> String = { text, _ in text }
) -> String {
    var lines = [printable("Cluster \(observation.cluster), \(wholeSeconds(observation.now))"), ""]
    for (question, answer, remark) in observation.twoNumbers {
        let pad = String(repeating: " ", count: max(1, 18 - question.count))
        lines.append(printable("  \(question)\(pad)\(answer)  (\(remark))"))
    }
    let days = observation.days(count)
    let first = days.first?.date ?? ""
    let last = days.last?.date ?? ""
    let gap = String(repeating: " ", count: max(1, count * 2 - first.count - last.count))
    lines += ["", "                  \(first)\(gap)\(last)"]
    func row(_ title: String, _ sign: (DayRecord) -> (String, CheckResult.Status?)) {
        let cells = days.map { day -> String in
            let (text, status) = sign(day)
            return status.map { paint(text, $0) } ?? text
        }
        lines.append("  \(title)\(String(repeating: " ", count: 16 - title.count))" + cells.joined())
    }
    func outcome(_ outcome: DayRecord.Outcome, _ letter: String) -> (String, CheckResult.Status?) {
        switch outcome {
        case .none: (" ·", nil)
        case .good: (" \(letter)", .ok)
        case .bad: (" ✗", .critical)
        }
    }
    row("backups") { outcome($0.backup, "B") }
    row("WAL") {
        switch $0.wal {
        case .nothing: (" ·", nil)
        case .whole: ("██", .ok)
        case .broken: ("▒▒", .critical)
        }
    }
    row("verified") { outcome($0.verify, "V") }
    row("drills") { outcome($0.drill, "D") }
    if days.contains(where: { $0.recovery != .none }) { row("recoveries") { outcome($0.recovery, "R") } }
    lines += ["  B V D R done   ✗ failed   ██ WAL complete   ▒▒ WAL missing   · nothing", ""]
    lines += facts(observation).map { printable($0) }
    let wrong = results.filter { $0.status.nagios != 0 }
    lines.append("")
    if wrong.isEmpty {
        lines.append(paint("All \(results.count) checks are well.", .ok))
    } else {
        for result in wrong {
            lines.append(
                "\(paint(result.status.rawValue, result.status)): \(result.definition.subject). "
                    + printable(result.message))
        }
        lines.append("\"\(runnable("tidemark check"))\" says what to do.")
    }
    return lines.joined(separator: "\n")
}

/// What is known in words, a line each.
private func facts(_ observation: Observation) -> [String] {
    var lines = [observation.reach]
    if let archive = observation.archive {
        for gap in archive.gaps.prefix(3) {
            lines.append(
                capitalized(gap.sentence) + (gap.from.map { ", after \(wholeSeconds($0))" } ?? "") + "."
                    + (gap.wayOut.map { " " + $0 } ?? ""))
        }
        if archive.gaps.count > 3 { lines.append("\(counted(archive.gaps.count - 3, "more gap")).") }
        for damage in observation.knownDamage.prefix(3) {
            lines.append("\(capitalized(damage.sentence)). \(damage.remedy)")
        }
        if let problem = observation.knownDamageProblem { lines.append(problem) }
        lines += archive.backups.aside.map(\.sentence)
        let backups = archive.ownBackups
        if let newest = archive.newestBackup {
            lines.append(
                "\(counted(backups.count, "backup")); the newest\(archive.newestDamaged == nil ? "" : " usable one"), \"\(newest.label)\", is \(duration(max(0, observation.age(newest.stopTime)))) old: "
                    + "\(Quantity.pretty(bytes: newest.size)), \(Quantity.pretty(bytes: newest.storedSize)) stored.")
        }
        if !archive.strangers.isEmpty {
            let count = archive.strangers.count
            lines.append(
                "\(count) more backup\(count == 1 ? " is" : "s are") of timelines that the cluster's history does not hold."
            )
        }
    }
    for former in observation.former {
        lines.append(
            "From before initdb or pg_upgrade, incarnation \(former.name): \(former.backups) "
                + "backup\(former.backups == 1 ? "" : "s"), \(Quantity.pretty(bytes: former.stored)) stored"
                + (former.newest.map { "; the newest ended \(wholeSeconds($0))." } ?? "."))
    }
    lines += observation.formerProblems
    if let space = observation.space {
        lines.append(
            "Repository: \(Quantity.pretty(bytes: space.free)) of \(Quantity.pretty(bytes: space.total)) free.")
    }
    return lines
}

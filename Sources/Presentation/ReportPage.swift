import Backups
import Configuration
import Jobs
public import Monitoring
import Notifications
import Platform
import WAL

/// The status as a self-contained page: no scripts, fonts or pictures to fetch; fit for print and for screen readers,
/// as every picture has a text and the table below says the same.
public func reportPage(_ observation: Observation, _ results: [CheckResult], days count: Int, tidemarkVersion: String)
    -> String
{
    let days = observation.days(count)
    let worst = CheckResult.worst(results)
    let title = "tidemark: cluster \(observation.cluster)"
    var page = """
        <!DOCTYPE html>
        <html lang="en">
        <head>
        <meta charset="utf-8">
        <meta name="viewport" content="width=device-width, initial-scale=1">
        <title>\(escapedForHTML(title))</title>
        <style>\(style)</style>
        </head>
        <body>
        <header>
        <h1>Cluster \(escapedForHTML(observation.cluster))</h1>
        <p>\(wholeSeconds(observation.now)) · \(badge(worst))</p>
        </header>
        <main>
        <section aria-label="The two numbers that matter" class="numbers">

        """
    for (question, answer, remark) in observation.twoNumbers {
        page += "<div><p class=\"question\">\(question)</p><p class=\"answer\">\(escapedForHTML(answer))</p>"
        page += "<p>\(escapedForHTML(remark))</p></div>\n"
    }
    page += "</section>\n<section>\n<h2>The last \(counted(count, "day"))</h2>\n\(picture(days))\n"
    page += "<p>\(escapedForHTML(observation.reach))</p>\n"
    page += "<details open><summary>The same as a table</summary>\n\(dayTable(days))</details>\n</section>\n"
    page += "<section>\n<h2>Checks</h2>\n\(checkTable(results))</section>\n"
    page += "<section>\n<h2>Backups</h2>\n\(backupTable(observation))</section>\n"
    page += "<section>\n<h2>Jobs</h2>\n\(jobTable(observation, since: days.first?.start))</section>\n</main>\n"
    page += "<footer><p>Made by tidemark \(escapedForHTML(tidemarkVersion)).</p></footer>\n</body>\n</html>\n"
    return page
}

private let style = """
    body{font:16px/1.45 system-ui,sans-serif;color:#1f2328;background:#fff;max-width:62rem;margin:2rem auto;padding:0 1rem}
    h1{margin:0}h2{margin-top:2rem;font-size:1.2rem}table{border-collapse:collapse;width:100%;font-size:.92rem}
    th,td{text-align:left;vertical-align:top;padding:.3rem .8rem .3rem 0;border-bottom:1px solid #d1d9e0}
    .numbers{display:flex;flex-wrap:wrap;gap:1.5rem;margin-top:1.5rem}.numbers div{flex:1 1 16rem;border:1px solid #d1d9e0;
    border-radius:.5rem;padding:.8rem 1.2rem}.numbers p{margin:0}.question{color:#59636e}.answer{font-size:1.9rem;font-weight:600}
    .ok{color:#116329}.warning{color:#7d4e00}.critical{color:#a40e26}.unknown{color:#6639ba}.silenced{color:#0550ae}
    .badge{font-weight:600}svg{max-width:100%;height:auto}.wide{overflow-x:auto}
    @media print{body{margin:0;max-width:none;font-size:11pt}details{display:block}section{break-inside:avoid}}
    """

private func badge(_ status: CheckResult.Status) -> String {
    "<span class=\"badge \(status.rawValue)\">\(status.rawValue)</span>"
}

/// Four rows of days. Shapes differ as well as colours, for print and colour-blind readers.
private func picture(_ days: [DayRecord]) -> String {
    let (left, cell, height) = (90, 26, 30)
    let rows = ["backups", "WAL", "verified", "drills"]
    let width = left + days.count * cell
    let bad = days.count { $0.wal == .broken }
    let words =
        "\(counted(days.count { $0.backup == .good }, "day")) with a backup, \(days.count { $0.wal == .whole }) with complete WAL, "
        + "\(bad) with a gap in it, \(days.count { $0.verify == .good }) with a verification, \(days.count { $0.drill == .good }) with a drill."
    var svg =
        "<svg role=\"img\" aria-labelledby=\"picture-title picture-words\" viewBox=\"0 0 \(width) \(rows.count * height + 30)\" "
        + "width=\"\(width)\" height=\"\(rows.count * height + 30)\" font-family=\"sans-serif\" font-size=\"12\">"
    svg += "<title id=\"picture-title\">Backups, WAL, verifications and drills, day by day</title>"
    svg += "<desc id=\"picture-words\">\(words)</desc>"
    for (row, title) in rows.enumerated() {
        let middle = row * height + height / 2
        svg += "<text x=\"0\" y=\"\(middle + 4)\" fill=\"#1f2328\">\(title)</text>"
        for (index, day) in days.enumerated() {
            let x = left + index * cell
            if title == "WAL" {
                switch day.wal {
                case .nothing:
                    svg += "<line x1=\"\(x)\" y1=\"\(middle)\" x2=\"\(x + cell)\" y2=\"\(middle)\" stroke=\"#d1d9e0\"/>"
                case .whole:
                    svg += "<rect x=\"\(x)\" y=\"\(middle - 8)\" width=\"\(cell)\" height=\"16\" fill=\"#1a7f37\"/>"
                case .broken:
                    svg += "<rect x=\"\(x + 1)\" y=\"\(middle - 8)\" width=\"\(cell - 2)\" height=\"16\" fill=\"#fff\" "
                    svg += "stroke=\"#cf222e\" stroke-width=\"2\" stroke-dasharray=\"4 3\"/>"
                }
                continue
            }
            let outcome = title == "backups" ? day.backup : title == "verified" ? day.verify : day.drill
            let centre = x + cell / 2
            switch outcome {
            case .none: svg += "<circle cx=\"\(centre)\" cy=\"\(middle)\" r=\"1.5\" fill=\"#818b98\"/>"
            case .good: svg += "<circle cx=\"\(centre)\" cy=\"\(middle)\" r=\"8\" fill=\"#1a7f37\"/>"
            case .bad:
                svg += "<path d=\"M\(centre - 6) \(middle - 6)L\(centre + 6) \(middle + 6)M\(centre - 6) \(middle + 6)"
                svg += "L\(centre + 6) \(middle - 6)\" stroke=\"#cf222e\" stroke-width=\"4\"/>"
            }
        }
    }
    let base = rows.count * height + 20
    for (index, day) in days.enumerated() where index % 7 == 0 {
        svg += "<text x=\"\(left + index * cell)\" y=\"\(base)\" fill=\"#59636e\">\(day.date.dropFirst(5))</text>"
    }
    return
        "<div class=\"wide\">\(svg)</svg></div>\n<p>Disc: done. Cross: failed. Full bar: WAL is complete. Dashed box: some is missing.</p>"
}

private func table(_ caption: String, _ headings: [String], _ rows: [[String]]) -> String {
    guard !rows.isEmpty else { return "<p>None.</p>\n" }
    var text = "<div class=\"wide\"><table><caption hidden>\(caption)</caption><thead><tr>"
    text += headings.map { "<th scope=\"col\">\($0)</th>" }.joined() + "</tr></thead><tbody>\n"
    for row in rows { text += "<tr>" + row.map { "<td>\($0)</td>" }.joined() + "</tr>\n" }
    return text + "</tbody></table></div>\n"
}

/// Only days with jobs, or with missing WAL.
private func dayTable(_ days: [DayRecord]) -> String {
    func word(_ outcome: DayRecord.Outcome) -> String {
        switch outcome {
        case .none: ""
        case .good: "done"
        case .bad: "failed"
        }
    }
    let rows = days.filter { day in
        [day.backup, day.verify, day.drill, day.recovery].contains { $0 != .none } || day.wal == .broken
    }.map {
        [
            $0.date, word($0.backup), $0.wal == .nothing ? "" : $0.wal.rawValue, word($0.verify), word($0.drill),
            word($0.recovery),
        ]
    }
    return table("Days", ["day", "backup", "WAL", "verification", "drill", "recovery"], rows)
}

private func checkTable(_ results: [CheckResult]) -> String {
    table(
        "Checks", ["check", "status", "what was found", "next step"],
        results.map {
            [
                escapedForHTML($0.definition.subject), badge($0.status), escapedForHTML($0.message),
                escapedForHTML($0.silence.map { "Silenced: \($0)" } ?? $0.nextStep ?? ""),
            ]
        })
}

private func backupTable(_ observation: Observation) -> String {
    let backups = observation.archive?.backups.complete.sorted { $0.stopTime > $1.stopTime } ?? []
    return table(
        "Backups", ["label", "ended", "size", "stored", "took"],
        backups.map {
            [
                escapedForHTML($0.label), wholeSeconds($0.stopTime), Quantity.pretty(bytes: $0.size),
                Quantity.pretty(bytes: $0.storedSize), duration($0.timings.total),
            ]
        })
}

private func jobTable(_ observation: Observation, since: Moment?) -> String {
    let jobs = observation.jobs.filter { job in since.map { job.finished >= $0 } ?? true }.reversed()
    return table(
        "Jobs", ["started", "job", "took", "result", "by", "message"],
        jobs.map {
            [
                wholeSeconds($0.started), $0.kind.rawValue, durationText(milliseconds: $0.duration),
                $0.result.rawValue, escapedForHTML("\($0.user)@\($0.host)"), escapedForHTML($0.message ?? ""),
            ]
        })
}

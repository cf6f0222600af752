import Configuration
import Operations
import Platform
import Presentation

enum ReportCommand: Command {
    static let grammar = Grammar(
        "report", "write the status as a page, or send it",
        description: [
            "With --html, writes a self-contained page: no scripts, no network, suitable for print and for screen readers. With "
                + "--notify, sends the weekly report to those recipients in [notify] who want it. Without either, prints the text of \"tidemark status\"."
        ],
        options: [
            Grammar.Option("html", value: "FILE", "write the page to FILE, atomically; - is standard output"),
            Grammar.Option("notify", "send it to the recipients who want weekly_report"),
            Grammar.Option("days", value: "N", "how many days to show (7 to 120; default: 28)"),
        ],
        examples: [
            Grammar.Example("tidemark report --html /var/www/html/tidemark.html", "a page for the intranet"),
            Grammar.Example("tidemark report --notify", "what the weekly timer does"),
        ])

    static func run(_ invocation: Invocation) throws -> ExitStatus {
        let arguments = invocation.arguments
        let days = try arguments.integer("days", in: 7...120) ?? 28
        let cluster = try invocation.becomeOwner()
        let report = try CheckJob(of: cluster, in: invocation.configuration(), invocation.installation()).run()
        let (observation, results) = (report.observation, report.results)
        let page = reportPage(observation, results, days: days, tidemarkVersion: CommandLineTool.version)
        if let path = arguments.value("html") {
            if path == "-" { writeToStandardOutput(page) } else { try invocation.write(page, to: path, of: cluster) }
        }
        if arguments.has("notify") {
            let report = weeklyReport(observation, results, page: page, host: hostName())
            try invocation.telling(of: cluster).tell([report])
        }
        if !arguments.has("html") && !arguments.has("notify") {
            invocation.print(statusText(observation, results, days: days, paint: Terminal.paint), hasColours: true)
        }
        return .success
    }
}

import Configuration
import Operations
import Platform
import Presentation

enum CheckCommand: Command {
    static let grammar = Grammar(
        "check", "check archiving, backups and everything they need",
        description: [
            "Reports in one of three forms: a table for people, with the reason and the next step for everything that isn't well; "
                + "the format of Nagios and Icinga; or that of Prometheus. Limits are set, and checks silenced with a reason, in the "
                + "configuration's section [check] (docs/monitoring.md)."
        ],
        options: [
            Grammar.Option("format", value: "FORMAT", "text, json, nagios or openmetrics (default: text)"),
            Grammar.Option(
                "textfile", value: "PATH",
                "also write Prometheus's text format to PATH, atomically, for node_exporter's textfile collector"),
            Grammar.Option("notify", "notify the recipients in [notify] of what has changed since the last time"),
            Grammar.Option("only", value: "CHECK", repeats: true, "only this check; may be repeated"),
            Grammar.Option("json", "print JSON, as --format json"),
        ],
        examples: [
            Grammar.Example("tidemark check", "is all well?"),
            Grammar.Example("tidemark check --format nagios", "as a plugin: exits 0, 1, 2 or 3"),
            Grammar.Example(
                "tidemark check --textfile /var/lib/prometheus/node-exporter/tidemark.prom", "for node_exporter"),
        ],
        exits: [
            (0, "all is well, or silenced; openmetrics: always"),
            (1, "failure; nagios: at least one warning"),
            (2, "usage or configuration error; nagios: at least one check is critical"),
            (3, "a check isn't well; nagios: something could not be determined"),
        ])

    private enum Format: String, CaseIterable {
        case text
        case json
        case nagios
        case openmetrics
    }

    static func run(_ invocation: Invocation) throws -> ExitStatus {
        let arguments = invocation.arguments
        let name = arguments.value("format") ?? (invocation.json ? "json" : "text")
        guard let format = Format(rawValue: name) else {
            throw UsageError(
                "option --format takes text, json, nagios or openmetrics, not \"\(name)\"",
                hint: suggestion(for: name, among: Format.allCases.map(\.rawValue)).map { "Did you mean \"\($0)\"?" })
        }
        let only = try Set(
            arguments.all("only").map { id throws(UsageError) in
                if let check = Check(rawValue: id) { return check }
                let ids = Check.allCases.map(\.rawValue)
                throw UsageError(
                    "there is no check \"\(id)\"",
                    hint: suggestion(for: id, among: ids).map { "Did you mean \"\($0)\"?" }
                        ?? "There are: \(ids.joined(separator: ", ")).")
            })
        do { return try run(invocation, format, only) } catch  where format == .nagios {
            // A plugin that can't do its work is unknown, and says so on standard output.
            let explained = error as? any Explained
            invocation.print("TIDEMARK UNKNOWN - \(explained?.message ?? "\(error)")")
            return .problemsFound
        }
    }

    private static func run(_ invocation: Invocation, _ format: Format, _ only: Set<Check>) throws -> ExitStatus {
        let cluster = try invocation.becomeOwner()
        let report = try CheckJob(of: cluster, in: invocation.configuration(), invocation.installation()).run()
            .only(only)
        let version = CommandLineTool.version
        if let path = invocation.arguments.value("textfile") {
            try invocation.write(
                MetricsFormat.prometheus.text(metrics(report.observation, report.results, tidemarkVersion: version)),
                to: path, of: cluster)
        }
        if invocation.arguments.has("notify") { try invocation.telling(of: cluster).tell(report) }
        switch format {
        case .text: invocation.print(checkText(report, paint: Terminal.paint), hasColours: true)
        case .json: try invocation.print(json: CheckDocument(report))
        case .nagios:
            let (text, status) = nagiosReport(report.results, cluster: report.cluster)
            invocation.print(text)
            return ExitStatus(rawValue: status) ?? .problemsFound
        case .openmetrics:
            writeToStandardOutput(
                MetricsFormat.openMetrics.text(metrics(report.observation, report.results, tidemarkVersion: version)))
            return .success
        }
        return report.isGood ? .success : .problemsFound
    }
}

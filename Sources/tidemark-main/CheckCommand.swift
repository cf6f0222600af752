import Archiving
import BaseBackup
import Configuration
import Glibc
import Monitoring
import Notifications
import Operations
import Platform
import Presentation
import Repository
import Retention
import Setup
import WAL

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
        let only = Set(arguments.all("only"))
        for id in only where CheckDefinition.named(id) == nil {
            let ids = CheckDefinition.all.map(\.id)
            throw UsageError(
                "there is no check \"\(id)\"",
                hint: suggestion(for: id, among: ids).map { "Did you mean \"\($0)\"?" }
                    ?? "There are: \(ids.joined(separator: ", ")).")
        }
        do { return try run(invocation, format, only) } catch  where format == .nagios {
            // A plugin that can't do its work is unknown, and says so on standard output.
            let explained = error as? any Explained
            invocation.print("TIDEMARK UNKNOWN - \(explained?.message ?? "\(error)")")
            return .problemsFound
        }
    }

    private static func run(_ invocation: Invocation, _ format: Format, _ only: Set<String>) throws -> ExitStatus {
        let configuration = try invocation.configuration()
        let cluster = try invocation.cluster()
        let observation = observe(cluster, in: configuration, try invocation.installation())
        let results = judge(observation, by: configuration.checks(for: cluster))
            .filter { only.isEmpty || only.contains($0.id) }
        if let path = invocation.arguments.value("textfile") {
            let text = MetricsFormat.prometheus.text(
                metrics(observation, results, tidemarkVersion: CommandLineTool.version))
            _ = try? removeStaleTemporaries(in: Files.parent(path))
            try replaceDurably(path, bytes: Array(text.utf8), mode: 0o644)
        }
        if invocation.arguments.has("notify") { try notify(observation, results, cluster, configuration, invocation) }
        let worst = CheckResult.worst(results)
        switch format {
        case .text: invocation.print(CheckText.table(results, cluster: cluster.name), hasColours: true)
        case .json:
            try invocation.print(
                json: CheckDocument(
                    cluster: cluster.name, time: observation.now.iso8601, status: worst.rawValue,
                    checks: results.map { CheckRow($0) }))
        case .nagios:
            let report = nagiosReport(results, cluster: cluster.name)
            invocation.print(report.text)
            return ExitStatus(rawValue: report.status) ?? .problemsFound
        case .openmetrics:
            writeToStandardOutput(
                MetricsFormat.openMetrics.text(metrics(observation, results, tidemarkVersion: CommandLineTool.version)))
            return .success
        }
        return worst.nagios == 0 ? .success : .problemsFound
    }

    private static func notify(
        _ observation: Observation, _ results: [CheckResult], _ cluster: ClusterConfiguration,
        _ configuration: Configuration, _ invocation: Invocation
    ) throws {
        let telling = try invocation.telling(of: cluster)
        for notifier in configuration.notifiers {
            let patience = Double(notifier.archiveFailingAfter) / 1000
            guard let notification = observation.archivingNotification(host: hostName(), patience: patience) else {
                continue
            }
            telling.tell([notification], only: notifier)
        }
        let changes = try CheckMemory(for: cluster).changes(
            to: results, cluster: cluster.name, host: hostName(), now: observation.now)
        telling.tell(changes)
        // What an earlier job could not deliver gets another chance.
        if try Outbox(for: cluster).waiting().count > 0 { telling.startDelivery() }
    }
}

private struct CheckDocument: Encodable {
    let cluster: String
    let time: String
    let status: String
    let checks: [CheckRow]
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

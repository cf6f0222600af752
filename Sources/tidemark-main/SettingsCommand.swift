import Configuration
import Postgres

enum SettingsCommand: Command {
    static let grammar = Grammar(
        "settings", "show every effective setting and where it comes from",
        options: [Grammar.Option("json", "print JSON")],
        examples: [
            Grammar.Example("tidemark settings", "all clusters of the configuration"),
            Grammar.Example("tidemark settings --cluster main --jobs 4", "one cluster, as with this flag"),
        ])

    private struct Row: Encodable {
        let cluster: String
        let name: String
        let value: String?
        let source: String
    }

    /// In a connection string that libpq can't read, any part may be a secret: it is hidden as a whole.
    private static func shown(_ name: String, _ value: String?) -> String? {
        guard let value, name == "conninfo", value.contains("=") || value.contains("://") else { return value }
        return (try? ConnectionString(value)) == nil ? "…" : value
    }

    static func run(_ invocation: Invocation) throws -> ExitStatus {
        let configuration = try invocation.configuration()
        let clusters =
            try invocation.arguments.value("cluster").map { [try configuration.cluster(named: $0)] }
            ?? configuration.clusters
        var rows = clusters.flatMap { cluster in
            Setting.all.map {
                Row(
                    cluster: cluster.name, name: $0.name, value: shown($0.name, cluster.value($0.name)),
                    source: "\(cluster.source($0.name))")
            }
        }
        for cluster in clusters {
            let retention = configuration.retention(for: cluster)
            rows += RetentionConfiguration.settings.map {
                Row(
                    cluster: "[retention \(cluster.name)]", name: $0.name, value: retention.value($0.name),
                    source: "\(retention.source($0.name))")
            }
            let checks = configuration.checks(for: cluster)
            rows += CheckConfiguration.settings.filter { checks.value($0.name) != nil }.map {
                Row(
                    cluster: "[check \(cluster.name)]", name: $0.name, value: checks.value($0.name),
                    source: "\(checks.source($0.name))")
            }
        }
        for notifier in configuration.notifiers {
            let section = notifier.name == "notify" ? "[notify]" : "[notify \(notifier.name)]"
            rows += NotifierConfiguration.settings.map {
                Row(
                    cluster: section, name: $0.name, value: notifier.shownValue($0.name),
                    source: "\(notifier.source($0.name))")
            }
        }
        if invocation.json {
            try invocation.print(json: rows)
            return .success
        }
        var table = TextTable(["cluster", "setting", "value", "source"])
        for row in rows { table.add([row.cluster, row.name, row.value ?? "", row.source]) }
        invocation.print(table.text)
        return .success
    }
}

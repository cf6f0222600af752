import Configuration
import Operations
import Presentation

enum SettingsCommand: Command {
    static let grammar = Grammar(
        "settings", "show every effective setting and where it comes from",
        options: [Grammar.Option("json", "print JSON")],
        examples: [
            Grammar.Example("tidemark settings", "all clusters of the configuration"),
            Grammar.Example("tidemark settings --cluster main --jobs 4", "one cluster, as with this flag"),
        ])

    static func run(_ invocation: Invocation) throws -> ExitStatus {
        let configuration = try invocation.configuration()
        let clusters = try invocation.arguments.value("cluster").map { [try configuration.cluster(named: $0)] }
        let settings = effectiveSettings(of: clusters ?? configuration.clusters, in: configuration)
        if invocation.json {
            try invocation.print(json: settings)
        } else {
            invocation.print(settingsText(settings))
        }
        return .success
    }
}

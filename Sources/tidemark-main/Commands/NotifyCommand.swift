import Configuration
import Glibc
import Notifications
import Operations
import Platform
import Presentation

enum NotifyCommand: Command {
    static let grammar = Grammar(
        "notify", "test the notifications, or deliver those that are waiting",
        description: [
            "The configuration's sections [notify] and [notify NAME] say who is notified of what (docs/notifications.md). Jobs "
                + "queue their messages and continue; another process delivers them. Without an option, notify shows how many are waiting."
        ],
        options: [
            Grammar.Option("test", "send a test message to every recipient at once, and report the results"),
            Grammar.Option("deliver", "deliver the waiting messages; the systemd units do this when a job has ended"),
            Grammar.Option(
                "unit", value: "UNIT",
                "report that a systemd unit has failed, unless it has reported that itself (OnFailure=)"),
            Grammar.Option("json", "print JSON"),
        ],
        examples: [
            Grammar.Example("tidemark notify --test", "do messages arrive?"),
            Grammar.Example("tidemark notify --deliver", "try again what could not be delivered"),
        ],
        exits: [(1, "failure; with --test and --deliver: a notification could not be delivered")])

    static func run(_ invocation: Invocation) throws -> ExitStatus {
        let arguments = invocation.arguments
        let configuration = try invocation.configuration()
        if let unit = arguments.value("unit") { return try tell(ofUnit: unit, configuration, invocation) }
        // The receivers are the same for all clusters; any cluster's state will do for a test.
        let cluster =
            try arguments.has("test") && arguments.value("cluster") == nil
            ? configuration.clusters[0] : configuration.cluster(named: arguments.value("cluster"))
        try Ownership.become(ownerFor: cluster)
        let receivers = Receiver.all(of: configuration.notifiers)
        guard !receivers.isEmpty else {
            // The units deliver after every job, even when no receiver is configured.
            if arguments.has("deliver") { return .success }
            throw Problem(
                "no recipient is configured",
                hint: "Add a section [notify] to \"\(configuration.path)\"; docs/notifications.md has examples.")
        }
        if arguments.has("test") { return try test(cluster, invocation) }
        if arguments.has("deliver") {
            return try invocation.telling(of: cluster).deliver() ? .success : .failure
        }
        let rows = receivers.map { ReceiverRow($0) }
        if invocation.json {
            try invocation.print(json: rows)
        } else {
            invocation.print(receiversText(rows, waiting: try Outbox(for: cluster).waiting().count))
        }
        return .success
    }

    private static func test(_ cluster: ClusterConfiguration, _ invocation: Invocation) throws -> ExitStatus {
        var rows: [ReceiverRow] = []
        try invocation.telling(of: cluster).test { receiver, failure in
            rows.append(ReceiverRow(receiver, tested: true, failure))
            if invocation.json { return }
            if let failure {
                invocation.log(.error, failure)
            } else {
                invocation.print("Notified \"\(receiver.name)\".")
            }
        }
        if invocation.json { try invocation.print(json: rows) }
        return rows.allSatisfy { $0.delivered == true } ? .success : .failure
    }

    /// `tidemark-backup@main.service` failed, perhaps before it could report it.
    private static func tell(
        ofUnit unit: String, _ configuration: Configuration, _ invocation: Invocation
    ) throws -> ExitStatus {
        let parts = unit.split(separator: "@", maxSplits: 1)
        let instance = parts.count == 2 ? parts[1].prefix { $0 != "." } : ""
        let cluster =
            configuration.clusters.first { $0.name == instance } ?? configuration.clusters[0]
        try Ownership.become(ownerFor: cluster)
        // systemd.exec(5): set for OnFailure= units since version 251.
        let variables = [("result", "MONITOR_SERVICE_RESULT"), ("exit status", "MONITOR_EXIT_STATUS")]
        let details = variables.compactMap { word, variable in
            getenv(variable).map { Notification.Detail(word, String(cString: $0)) }
        }
        let telling = try invocation.telling(of: cluster)
        telling.tell(ofUnit: unit, details)
        return try telling.deliver() ? .success : .failure
    }
}

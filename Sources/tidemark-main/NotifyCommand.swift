import Configuration
import Glibc
import Monitoring
import Notifications
import Operations
import Platform
import WAL

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

    private struct Row: Encodable {
        let receiver: String
        let events: [String]
        let delivered: Bool?
        let problem: String?
        let detail: String?
        let hint: String?
    }

    static func run(_ invocation: Invocation) throws -> ExitStatus {
        let arguments = invocation.arguments
        let configuration = try invocation.configuration()
        if let unit = arguments.value("unit") { return try tell(ofUnit: unit, configuration, invocation) }
        // The receivers are everybody's; where there are several clusters, any one's state will do for a test.
        let cluster =
            try arguments.has("test") && arguments.value("cluster") == nil
            ? configuration.clusters[0] : configuration.cluster(named: arguments.value("cluster"))
        try Ownership.become(ownerFor: cluster)
        let receivers = Receiver.all(of: configuration.notifiers)
        guard !receivers.isEmpty else {
            // The units deliver after every job, whether or not anybody is to be told.
            if arguments.has("deliver") { return .success }
            throw Problem(
                "no recipient is configured",
                hint: "Add a section [notify] to \"\(configuration.path)\"; docs/notifications.md has examples.")
        }
        if arguments.has("test") { return try test(receivers, cluster, invocation) }
        if arguments.has("deliver") {
            return try invocation.telling(of: cluster).deliver() ? .success : .failure
        }
        let waiting = try Outbox(for: cluster).waiting()
        let rows = receivers.map {
            Row(
                receiver: $0.name, events: $0.notifier.events.map(\.rawValue).sorted(), delivered: nil, problem: nil,
                detail: nil, hint: nil)
        }
        if invocation.json {
            try invocation.print(json: rows)
        } else {
            var table = TextTable(["receiver", "events"])
            for row in rows { table.add([row.receiver, row.events.joined(separator: ", ")]) }
            invocation.print(
                table.text + "\n\n\(waiting.count) message\(waiting.count == 1 ? " is" : "s are") waiting for delivery."
            )
        }
        return .success
    }

    private static func test(
        _ receivers: [Receiver], _ cluster: ClusterConfiguration, _ invocation: Invocation
    ) throws -> ExitStatus {
        let message = Notification(
            event: nil, status: .success, cluster: cluster.name, host: hostName(),
            time: Moment(microseconds: Clock.now), subject: "test", message: "this is a test of the notifications",
            details: [Notification.Detail("configuration", try invocation.configurationPath())])
        var rows: [Row] = []
        for receiver in receivers {
            let failure = receiver.test(message)
            rows.append(
                Row(
                    receiver: receiver.name, events: receiver.notifier.events.map(\.rawValue).sorted(),
                    delivered: failure == nil, problem: failure?.message, detail: failure?.detail, hint: failure?.hint))
            if invocation.json { continue }
            if let failure {
                invocation.log(.error, failure)
            } else {
                invocation.print("Notified \"\(receiver.name)\".")
            }
        }
        if invocation.json { try invocation.print(json: rows) }
        return rows.allSatisfy { $0.delivered == true } ? .success : .failure
    }

    /// `tidemark-backup@main.service` failed: perhaps before it could say so.
    private static func tell(
        ofUnit unit: String, _ configuration: Configuration, _ invocation: Invocation
    ) throws -> ExitStatus {
        let parts = unit.split(separator: "@", maxSplits: 1)
        let instance = parts.count == 2 ? parts[1].prefix { $0 != "." } : ""
        let cluster =
            configuration.clusters.first { $0.name == instance } ?? configuration.clusters[0]
        try Ownership.become(ownerFor: cluster)
        func environment(_ name: String) -> String? { getenv(name).map { String(cString: $0) } }
        var details = [Notification.Detail("unit", unit.contains(".") ? unit : unit + ".service")]
        // systemd.exec(5): what OnFailure= units are told since version 251.
        if let result = environment("MONITOR_SERVICE_RESULT") {
            details.append(Notification.Detail("result", result))
        }
        if let status = environment("MONITOR_EXIT_STATUS") {
            details.append(Notification.Detail("exit status", status))
        }
        details.append(Notification.Detail("log", "journalctl -u \(unit)"))
        let name = unit.contains(".") ? unit : unit + ".service"
        let subject = String((parts.first ?? "").trimmingPrefix("tidemark-"))
        let now = Moment(microseconds: Clock.now)
        try invocation.telling(of: cluster).tell(
            [
                Notification(
                    event: .unitFailure, status: .error, cluster: cluster.name, host: hostName(), time: now,
                    subject: subject, message: "unit \(name) failed", details: details)
            ],
            // The job itself usually told moments ago, and more.
            quietIfToldSince: Moment(microseconds: now.microseconds - 600_000_000))
        return try invocation.telling(of: cluster).deliver() ? .success : .failure
    }
}

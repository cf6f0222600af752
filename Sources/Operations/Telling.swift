public import Configuration
import Monitoring
public import Notifications
import Platform
public import WAL

/// Queues notifications, and starts a process that delivers them.
public struct Telling: Sendable {
    private let cluster: ClusterConfiguration
    private let notifiers: [NotifierConfiguration]
    private let installation: Installation
    private let context: JobContext

    /// - Parameter notifiers: the configured receivers.
    public init(
        of cluster: ClusterConfiguration, to notifiers: [NotifierConfiguration], _ installation: Installation,
        _ context: JobContext
    ) {
        (self.cluster, self.notifiers) = (cluster, notifiers)
        (self.installation, self.context) = (installation, context)
    }

    /// Queues notifications and starts delivery. An error is only logged.
    public func tell(
        _ notifications: [Notification], only notifier: NotifierConfiguration? = nil, quietIfToldSince: Moment? = nil
    ) {
        do {
            let receivers = Receiver.all(of: notifier.map { [$0] } ?? notifiers)
            guard !receivers.isEmpty else { return }
            let outbox = Outbox(for: cluster)
            var queued = false
            for notification in notifications.map(\.withoutSecrets) {
                let told = try outbox.enqueue(notification, for: receivers, quietIfToldSince: quietIfToldSince)
                queued = queued || !told.isEmpty
            }
            // Earlier notifications that could not be delivered are tried again.
            if try queued || outbox.waiting().count > 0 { startDelivery() }
        } catch {
            context.note(.warning, "could not queue a notification: \(error)")
        }
    }

    /// Starts a process that delivers queued notifications, without waiting for it.
    public func startDelivery() {
        do {
            try startDetached(
                installation.executable + "-main",
                ["notify", "--deliver", "--config", installation.configuration, "--cluster", cluster.name],
                logFile: Outbox(for: cluster).directory + "/delivery.log")
        } catch {
            context.note(.warning, "could not start delivering notifications: \(error)")
        }
    }

    /// Delivers queued notifications in this process, and logs the results.
    /// - Returns: whether everything was delivered.
    public func deliver() throws -> Bool {
        try Outbox(for: cluster).deliver(to: Receiver.all(of: notifiers)) { [context] event in
            switch event {
            case .delivered(let id, let receiver):
                context.note(.log, "delivered notification \"\(id)\" to \"\(receiver)\"")
            case .failed(let failure): context.note(.warning, failure)
            case .givenUp(let id, let receiver):
                context.note(.warning, "gave up notification \"\(id)\" to \"\(receiver)\": it is more than a day old")
            case .unreadable(let error): context.note(.warning, error)
            }
        }
    }

    /// Sends what has changed in the checks since the last time, and whether archiving fails.
    public func tell(_ report: CheckReport) throws {
        for notifier in notifiers {
            let patience = Double(notifier.archiveFailingAfter) / 1000
            guard let news = report.observation.archivingNotification(host: hostName(), patience: patience)
            else { continue }
            tell([news], only: notifier)
        }
        tell(
            try CheckMemory(for: cluster).changes(
                to: report.results, cluster: cluster.name, host: hostName(), now: report.observation.now))
    }

    /// Reports that a systemd unit has failed, unless the job in it has just reported that itself, with more details.
    ///
    /// - Parameters:
    ///   - unit: such as `tidemark-backup@main.service`; a name without suffix is a service.
    ///   - details: systemd's facts about the failure.
    public func tell(ofUnit unit: String, _ details: [Notification.Detail]) {
        let name = unit.contains(".") ? unit : unit + ".service"
        let subject = String((unit.split(separator: "@", maxSplits: 1).first ?? "").trimmingPrefix("tidemark-"))
        let now = Moment(microseconds: Clock.now)
        let log = Notification.Detail("log", "journalctl -u \(unit)")
        tell(
            [
                Notification(
                    event: .unitFailure, status: .error, cluster: cluster.name, host: hostName(), time: now,
                    subject: subject, message: "unit \(name) failed",
                    details: [Notification.Detail("unit", name)] + details + [log])
            ],
            quietIfToldSince: Moment(microseconds: now.microseconds - 600_000_000))
    }

    /// Sends a test message to all receivers, in this process.
    ///
    /// - Parameter told: called with each receiver, and with the error if it could not be reached.
    public func test(told: (Receiver, DeliveryFailure?) throws -> Void) rethrows {
        let message = Notification(
            event: nil, status: .success, cluster: cluster.name, host: hostName(),
            time: Moment(microseconds: Clock.now), subject: "test", message: "this is a test of the notifications",
            details: [Notification.Detail("configuration", installation.configuration)])
        for receiver in Receiver.all(of: notifiers) { try told(receiver, receiver.test(message)) }
    }
}

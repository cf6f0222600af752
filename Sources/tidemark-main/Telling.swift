import Configuration
import Glibc
import Monitoring
import Notifications
import Platform
import WAL

/// Hands notifications to a process that delivers them, without waiting for it.
enum Telling {
    /// Queues and starts delivering. Whatever goes wrong is logged and changes nothing else.
    static func tell(
        _ notifications: [Notification], of cluster: ClusterConfiguration, _ invocation: Invocation,
        only notifier: NotifierConfiguration? = nil, quietIfToldSince: Moment? = nil
    ) {
        do {
            let receivers = Receiver.all(of: try notifier.map { [$0] } ?? invocation.configuration().notifiers)
            guard !receivers.isEmpty else { return }
            let outbox = Outbox(for: cluster)
            var queued = false
            for notification in notifications.map(\.withoutSecrets) {
                let told = try outbox.enqueue(notification, for: receivers, quietIfToldSince: quietIfToldSince)
                queued = queued || !told.isEmpty
            }
            // What an earlier job could not deliver gets another chance.
            if try queued || outbox.waiting().count > 0 { startDelivery(of: cluster, invocation) }
        } catch {
            invocation.log(.warning, "could not queue a notification: \(error)")
        }
    }

    /// Starts a process that delivers what is queued, and doesn't wait for it.
    static func startDelivery(of cluster: ClusterConfiguration, _ invocation: Invocation) {
        do {
            try startDetached(
                try leanExecutable() + "-main",
                ["notify", "--deliver", "--config", try invocation.configurationPath(), "--cluster", cluster.name],
                logFile: Outbox(for: cluster).directory + "/delivery.log")
        } catch {
            invocation.log(.warning, "could not start delivering notifications: \(error)")
        }
    }

    /// Delivers what is queued, here and now, and logs how that went.
    /// - Returns: whether everything was delivered.
    static func deliver(of cluster: ClusterConfiguration, _ invocation: Invocation) throws -> Bool {
        let receivers = Receiver.all(of: try invocation.configuration().notifiers)
        let log = invocation.log
        return try Outbox(for: cluster).deliver(to: receivers) { event in
            switch event {
            case .delivered(let id, let receiver): log(.log, "delivered notification \"\(id)\" to \"\(receiver)\"")
            case .failed(let failure): log(.warning, failure)
            case .givenUp(let id, let receiver):
                log(.warning, "gave up notification \"\(id)\" to \"\(receiver)\": it is more than a day old")
            }
        }
    }
}

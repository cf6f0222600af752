import Configuration
import Glibc
import Monitoring
import Platform
import WAL

/// Hands notifications to a process that delivers them, without waiting for it.
enum Telling {
    /// Queues and starts delivering. Whatever goes wrong is logged and changes nothing else.
    static func tell(
        _ notification: Notification, of cluster: ClusterConfiguration, _ invocation: Invocation,
        quietIfToldSince: Moment? = nil
    ) {
        do {
            let configuration = try invocation.configuration()
            let receivers = Receiver.all(of: configuration.notifiers)
            guard !receivers.isEmpty else { return }
            let outbox = Outbox(for: cluster)
            let told = try outbox.enqueue(notification, for: receivers, quietIfToldSince: quietIfToldSince)
            guard !told.isEmpty else { return }
            var executable = try leanExecutable()
            executable += "-main"
            try startDetached(
                executable,
                ["notify", "--deliver", "--config", try invocation.configurationPath(), "--cluster", cluster.name],
                logFile: outbox.directory + "/delivery.log")
        } catch {
            invocation.log(.warning, "could not queue a notification: \(error)")
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

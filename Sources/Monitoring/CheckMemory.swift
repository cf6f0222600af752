import Archiving
public import Configuration
import Documents
import Glibc
public import Notifications
import Platform
import Repository
public import WAL

/// The last known status of each check of a cluster, for `[notify]`.
public struct CheckMemory: Sendable {
    private let path: String

    public init(for cluster: ClusterConfiguration) {
        path = cluster.state.checks
    }

    /// The notifications about changes since the last time; stores the present statuses. The first time nothing has
    /// changed, but checks that aren't ok are reported.
    public func changes(to results: [CheckResult], cluster: String, host: String, now: Moment) throws -> [Notification]
    {
        let before = (try? Files.read(path, limit: 1 << 20)).flatMap {
            try? decodeJSON([String: CheckResult.Status].self, from: $0)
        }
        var after = before ?? [:]
        var notifications: [Notification] = []
        for result in results {
            let old = before?[result.id] ?? .ok
            after[result.id] = result.status
            guard old.nagios != result.status.nagios else { continue }
            let isGood = result.status.nagios == 0
            var details = [Notification.Detail("check", result.id)]
            if let step = result.nextStep, !isGood { details.append(Notification.Detail("next step", step)) }
            if let silence = result.silence { details.append(Notification.Detail("silenced", silence)) }
            details.append(Notification.Detail("before", old.rawValue))
            notifications.append(
                Notification(
                    event: .check, status: isGood ? .success : result.status == .critical ? .error : .warning,
                    cluster: cluster, host: host, time: now, subject: "check \(result.id)",
                    message: "\(result.definition.subject): \(result.status.rawValue). \(result.message)",
                    details: details))
        }
        try Files.makeDirectories(Files.parent(path))
        try replaceDurably(path, bytes: try encodeJSON(after.mapValues(\.rawValue)))
        return notifications
    }
}

extension Observation {
    /// The notification that archiving has been failing for long enough, or works again.
    ///
    /// - Parameter patience: seconds.
    public func archivingNotification(host: String, patience: Double) -> Notification? {
        guard let waiting else { return nil }
        if waiting.oldestReady > patience {
            let last = server?.lastFailed
            return Notification(
                event: .archiveFailing, status: .error, cluster: cluster, host: host, time: now, subject: "archiving",
                // The same words each time: with a growing number it would be sent again and again.
                message: "archiving has been failing for more than \(duration(patience))",
                details: [
                    Notification.Detail("waiting segments", String(waiting.ready)),
                    Notification.Detail("waiting for", duration(waiting.oldestReady)),
                ] + (last.map { [Notification.Detail("last failure", $0)] } ?? []))
        }
        guard waiting.ready == 0, server?.isFailing == false else { return nil }
        var good = Notification(
            event: .archiveFailing, status: .success, cluster: cluster, host: host, time: now, subject: "archiving",
            message: "archiving works again")
        good.isOnlyAnEnd = true
        return good
    }
}

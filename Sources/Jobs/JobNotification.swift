import Configuration
public import Notifications
import Platform
import WAL

extension JobRecord {
    /// The notification about the job; nil when none is sent.
    public var notification: Notification? {
        let isGood = result == .success
        let event: NotificationEvent? =
            switch kind {
            case .backup: isGood ? .backupSuccess : .backupFailure
            case .verify: isGood ? .verifySuccess : .verifyFailure
            case .drill: isGood ? .drillSuccess : .drillFailure
            case .expire: isGood ? nil : .expireFailure
            case .recover, .recoverTable: .recovery
            }
        guard let event else { return nil }
        let outcome =
            switch result {
            case .success: "\(noun) finished"
            case .problems: "\(noun) found problems"
            case .failure: "\(noun) failed"
            }
        var details = [
            Notification.Detail("started", started.description),
            Notification.Detail("took", durationText(milliseconds: duration)),
            Notification.Detail("by", "\(user)@\(host)"),
        ]
        if let detail { details.append(Notification.Detail("detail", detail)) }
        if let hint { details.append(Notification.Detail("hint", hint)) }
        details += facts.sorted { $0.key < $1.key }.map { Notification.Detail($0.key, $0.value) }
        return Notification(
            event: event, status: isGood ? .success : result == .problems ? .warning : .error, cluster: cluster,
            host: host, time: finished, subject: kind.rawValue, message: message.map { "\(outcome): \($0)" } ?? outcome,
            details: details)
    }

    private var noun: String {
        switch kind {
        case .backup: "backup"
        case .verify: "verification"
        case .drill: "drill"
        case .expire: "expiry"
        case .recover: "recovery"
        case .recoverTable: "table recovery"
        }
    }
}

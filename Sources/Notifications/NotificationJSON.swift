import Configuration
import Documents
import Platform
import WAL

/// The document for webhooks and commands (docs/notifications.md). Slack, Mattermost and the like show `text`.
struct NotificationDocument: Codable, Sendable {
    var source = "tidemark"
    var id: String
    var event: String
    var status: Notification.Status
    var cluster: String
    var host: String
    var timestamp: String
    var message: String
    var text: String
    /// An object with the details' names as keys, in snake_case.
    var details: [String: String]
    var suppressed: Int

    init(_ notification: Notification) {
        id = notification.id
        event = notification.event?.rawValue ?? "test"
        status = notification.status
        cluster = notification.cluster
        host = notification.host
        timestamp = notification.time.iso8601
        message = notification.message
        text = notification.text
        details = Dictionary(
            notification.details.map { ($0.name.lowercased().split(separator: " ").joined(separator: "_"), $0.value) }
        ) { $1 }
        suppressed = notification.suppressed
    }
}

extension Notification {
    /// The body of a webhook, exactly the bytes that are signed.
    func document() throws -> [UInt8] { try encodeJSON(NotificationDocument(self), pretty: false) }
}

/// A queued notification, and the receivers that haven't got it yet.
struct QueuedNotification: Codable, Sendable {
    var format = 1
    var id: String
    var event: String?
    var status: Notification.Status
    var cluster: String
    var host: String
    var time: String
    var subject: String
    var message: String
    var details: [Notification.Detail]
    var suppressed: Int
    var html: String?
    /// `<section>/<channel>`.
    var receivers: [String]

    init(_ notification: Notification, receivers: [String]) {
        (id, event, status) = (notification.id, notification.event?.rawValue, notification.status)
        (cluster, host, time) = (notification.cluster, notification.host, notification.time.iso8601)
        (subject, message, details) = (notification.subject, notification.message, notification.details)
        (suppressed, html) = (notification.suppressed, notification.html)
        self.receivers = receivers
    }

    var notification: Notification? {
        guard format == 1, let moment = Moment(iso8601: time) else { return nil }
        var notification = Notification(
            event: event.flatMap { NotificationEvent(rawValue: $0) }, status: status, cluster: cluster, host: host,
            time: moment, subject: subject, message: message, details: details, html: html)
        notification.id = id
        notification.suppressed = suppressed
        return notification
    }
}

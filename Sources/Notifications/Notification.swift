public import Configuration
import Platform
public import WAL

/// A notification.
public struct Notification: Sendable, Equatable {
    public enum Status: String, Sendable, Codable {
        case success
        case warning
        case error
    }

    /// The same for every attempt and every receiver, so that a receiver recognises a repetition.
    public var id: String
    public var event: NotificationEvent?
    public var status: Status
    public var cluster: String
    public var host: String
    public var time: Moment
    /// One line.
    public var message: String
    /// Facts in the order they are shown.
    public var details: [Detail]
    /// What it is about, such as `backup`; the same trouble with the same subject isn't reported twice in a row.
    public var subject: String
    /// How many equal notifications were suppressed since the last one was sent.
    public var suppressed: Int
    /// Sent only to receivers that were notified of the trouble.
    public var isOnlyAnEnd = false
    /// A page for e-mail in place of the table of details.
    public var html: String?

    public struct Detail: Sendable, Equatable, Codable {
        public var name: String
        public var value: String
        public init(_ name: String, _ value: String) {
            self.name = name
            self.value = value
        }
    }

    /// - Parameter event: nil for a test, which goes to all receivers.
    public init(
        event: NotificationEvent?, status: Status, cluster: String, host: String, time: Moment, subject: String,
        message: String, details: [Detail] = [], html: String? = nil
    ) {
        id = time.compact + "-" + padded(UInt64.random(in: .min ... .max), to: 16, radix: 16)
        (self.event, self.status, self.cluster, self.host) = (event, status, cluster, host)
        (self.time, self.subject, self.message, self.details) = (time, subject, message, details)
        (self.suppressed, self.html) = (0, html)
    }

    /// The same notification with secrets masked: the quoted messages may contain some.
    public var withoutSecrets: Notification {
        var other = self
        other.message = Platform.withoutSecrets(message)
        other.details = details.map { Detail($0.name, Platform.withoutSecrets($0.value)) }
        other.html = html.map(Platform.withoutSecrets)
        return other
    }

    /// `[error] main on db1: backup failed: …`; followed by the details in channels that have nothing else.
    public var headline: String { "[\(status.rawValue)] \(cluster) on \(host): \(message)" }

    /// For chats and the plain part of an e-mail.
    public var text: String {
        var lines = [headline] + details.map { "\($0.name): \($0.value)" }
        if suppressed > 0 {
            lines.append("The same message was suppressed \(suppressed) times since it was last sent.")
        }
        return lines.joined(separator: "\n")
    }
}

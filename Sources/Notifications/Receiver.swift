public import Configuration
import HTTP
public import Platform

/// One channel of a `[notify]` section: a webhook, an e-mail, or a command.
public struct Receiver: Sendable {
    public enum Channel: String, Sendable, CaseIterable {
        case webhook
        case email
        case command
    }
    public let notifier: NotifierConfiguration
    public let channel: Channel

    /// `<section>/<channel>`, its name in the queue.
    public var name: String { "\(notifier.name)/\(channel.rawValue)" }

    /// All configured receivers, in the file's order.
    public static func all(of notifiers: [NotifierConfiguration]) -> [Receiver] {
        notifiers.flatMap { notifier in
            Channel.allCases.filter { channel in
                switch channel {
                case .webhook: notifier.webhookURL != nil || notifier.webhookURLFile != nil
                case .email: !notifier.emailTo.isEmpty
                case .command: notifier.command != nil
                }
            }.map { Receiver(notifier: notifier, channel: $0) }
        }
    }

    func wants(_ event: NotificationEvent?) -> Bool { event.map(notifier.events.contains) ?? true }

    /// Tries once, without the queue.
    /// - Returns: why it failed; nil when it didn't.
    public func test(_ notification: Notification) -> DeliveryFailure? {
        do throws(DeliveryFailure) { try deliver(notification) } catch { return error }
        return nil
    }

    /// Tries once.
    func deliver(_ notification: Notification) throws(DeliveryFailure) {
        do {
            switch channel {
            case .webhook: try deliverToWebhook(notification)
            case .email: try deliverByMail(notification)
            case .command: try deliverToCommand(notification)
            }
        } catch let failure as DeliveryFailure {
            throw failure
        } catch let error as any Explained {
            // A missing or exposed secret, a command that can't be run: another attempt doesn't help.
            throw DeliveryFailure(receiver: name, reason: error.message, advice: error.hint, isPermanent: true)
        } catch { throw DeliveryFailure(receiver: name, reason: "\(error)", isPermanent: true) }
    }

    private func deliverToWebhook(_ notification: Notification) throws {
        let url = try notifier.webhookURLFile.map { try Secret.read($0) } ?? notifier.webhookURL ?? ""
        if let objection = NotifierConfiguration.objection(toWebhook: url) { throw Problem(objection) }
        let body = try notification.document()
        // libcurl would wait a second for the server to agree to a larger body ("Expect: 100-continue").
        var headers = [
            "Content-Type: application/json", "User-Agent: tidemark", "X-Tidemark-Id: \(notification.id)", "Expect:",
        ]
        if let secret = try Secret(file: notifier.webhookSecretFile, variable: "TIDEMARK_WEBHOOK_SECRET") {
            headers.append("X-Tidemark-Signature: \(signature(of: body, key: secret.text))")
        }
        let shown = WebAddress(url)?.shown ?? "the webhook"
        let request = HTTPRequest(
            .post, url, headers: headers, timeout: notifier.timeout, caFile: notifier.webhookCAFile)
        let answer = try transferring(at: shown) { try request.perform(HTTPRequest.Body(body)) }
        guard !(200..<300).contains(answer.status) else { return }
        // These statuses ask for a repetition; any other refusal is final.
        let isPermanent = ![408, 425, 429].contains(answer.status) && answer.status < 500
        throw DeliveryFailure(
            receiver: name, reason: "\(shown) answered with status \(answer.status)",
            advice: (300..<400).contains(answer.status)
                ? "It redirects, which is not followed: set the final address." : nil,
            isPermanent: isPermanent, retryAfter: Receiver.pause(asked: answer.retryAfter))
    }

    /// The delay in milliseconds for a server's `Retry-After`, which may be any number; an hour at most.
    static func pause(asked seconds: Int) -> Int64 { Int64(min(max(0, seconds), 3600)) * 1000 }

    private func deliverByMail(_ notification: Notification) throws {
        let url = notifier.smtpURL ?? ""
        let password =
            notifier.smtpUser == nil
            ? nil : try Secret(file: notifier.smtpPasswordFile, variable: "TIDEMARK_SMTP_PASSWORD")
        if notifier.smtpUser != nil && password == nil {
            throw Problem(
                "there is no password for the mail server",
                hint: "Set smtp_password_file, or TIDEMARK_SMTP_PASSWORD in the environment.")
        }
        let from = notifier.emailFrom ?? ""
        let mail = MailTransfer(
            url: url, timeout: notifier.timeout, caFile: notifier.smtpCAFile, from: from, to: notifier.emailTo,
            requiresTLS: notifier.smtpRequiresTLS, user: notifier.smtpUser, password: password?.text)
        let message = MailMessage(notification: notification, from: from, to: notifier.emailTo).encode()
        try transferring(at: url) { try mail.perform(message) }
    }

    private func deliverToCommand(_ notification: Notification) throws {
        let ended = try runCommand(
            notifier.command ?? "", input: notification.document() + [UInt8(ascii: "\n")], timeout: notifier.timeout,
            environment: [
                ("TIDEMARK_EVENT", notification.event?.rawValue ?? "test"),
                ("TIDEMARK_STATUS", notification.status.rawValue), ("TIDEMARK_CLUSTER", notification.cluster),
                ("TIDEMARK_MESSAGE", notification.message),
            ])
        guard ended.ending != .exited(0) else { return }
        let said = ended.errors.split(whereSeparator: \.isNewline).first.map { ": \($0)" } ?? ""
        switch ended.ending {
        case .exited(let status):
            throw DeliveryFailure(receiver: name, reason: "the command ended with status \(status)\(said)")
        case .signalled(let signal):
            throw DeliveryFailure(receiver: name, reason: "the command was ended by signal \(signal)\(said)")
        }
    }

    private func transferring<Value>(at shown: String, _ body: () throws -> Value) throws -> Value {
        do { return try body() } catch let failure as CurlTransfer.Failure {
            throw DeliveryFailure(
                receiver: name, reason: "\(shown): \(failure.reason)", isPermanent: failure.isPermanent)
        }
    }
}

/// A receiver could not be notified. Contains neither addresses' paths nor secrets.
public struct DeliveryFailure: Explained, Equatable {
    public let receiver: String
    public let reason: String
    public var advice: String?
    /// Whether another attempt with the same settings can't succeed.
    public var isPermanent = false
    /// The delay in milliseconds that the receiver requested; 0 for none.
    public var retryAfter: Int64 = 0

    public var message: String { "could not deliver a notification to \"\(receiver)\"" }
    public var detail: String? { reason }
    public var hint: String? { advice }
}

/// One section `[notify]` or `[notify NAME]`: receivers, their events, and the channels.
public struct NotifierConfiguration: Sendable, Equatable {
    /// The section's name; `notify` when it has none.
    public let name: String
    private let values: [String: ClusterConfiguration.Value]

    init(name: String, values: [String: ClusterConfiguration.Value]) {
        self.name = name
        self.values = values
    }

    public static let settings: [Setting] = [
        Setting(
            "events", .list(NotificationEvent.words), standard: "failures, recovery, weekly_report",
            "Events to report, separated by commas."),
        Setting("webhook_url", .text, "URL that receives a JSON document by POST; https, or http on this machine."),
        Setting("webhook_url_file", .path, "File that contains the URL, if the URL itself is a secret."),
        Setting(
            "webhook_secret_file", .path,
            "File with the key for the HMAC-SHA256 signature; $TIDEMARK_WEBHOOK_SECRET can be used instead."),
        Setting("webhook_ca_file", .path, "Certificates to trust for the webhook instead of the system's."),
        Setting("email_to", .text, "Addresses that receive an e-mail, separated by commas."),
        Setting("email_from", .text, "The sender's address."),
        Setting("smtp_url", .text, "Mail server: smtp://host:587 (STARTTLS) or smtps://host:465 (TLS)."),
        Setting(
            "smtp_tls", .choice(["required", "off"]), standard: "required",
            "Whether the mail server must use TLS; off sends no password, except to this machine."),
        Setting("smtp_user", .text, "User name for the mail server, if it requires one."),
        Setting(
            "smtp_password_file", .path,
            "File with the password for the mail server; $TIDEMARK_SMTP_PASSWORD can be used instead."),
        Setting("smtp_ca_file", .path, "Certificates to trust for the mail server instead of the system's."),
        Setting("command", .text, "Shell command that receives the JSON document on standard input."),
        Setting("timeout", .duration, standard: "10s", "How long one attempt may take."),
        Setting(
            "attempts", .integer(1...10), standard: "4",
            "Number of delivery attempts before a message waits for the next run."
        ),
        Setting("retry_delay", .duration, standard: "2s", "Pause before the second attempt; it doubles each time."),
        Setting("repeat_after", .duration, standard: "1d", "The same problem is reported again only after this time."),
        Setting(
            "archive_failing_after", .duration, standard: "10min",
            "How long archiving must have been failing before it is reported."),
    ]

    /// The value as text; nil when it is neither set nor has a default.
    public func value(_ setting: String) -> String? {
        values[setting]?.text ?? NotifierConfiguration.settings.first { $0.name == setting }?.standard
    }
    public func source(_ setting: String) -> ClusterConfiguration.Source { values[setting]?.source ?? .standard }
    private func milliseconds(_ setting: String) -> Int64 { value(setting).flatMap(Quantity.milliseconds) ?? 0 }

    /// The value as `tidemark settings` shows it: a webhook's path often is its password.
    public func shownValue(_ setting: String) -> String? {
        guard setting == "webhook_url", let url = value(setting) else { return value(setting) }
        return WebAddress(url).map(\.shown) ?? "…"
    }

    public var events: Set<NotificationEvent> { NotificationEvent.parse(value("events") ?? "") }
    public var webhookURL: String? { value("webhook_url") }
    public var webhookURLFile: String? { value("webhook_url_file") }
    public var webhookSecretFile: String? { value("webhook_secret_file") }
    public var webhookCAFile: String? { value("webhook_ca_file") }
    public var emailTo: [String] { splitList(value("email_to") ?? "") }
    public var emailFrom: String? { value("email_from") }
    public var smtpURL: String? { value("smtp_url") }
    public var smtpRequiresTLS: Bool { value("smtp_tls") != "off" }
    public var smtpUser: String? { value("smtp_user") }
    public var smtpPasswordFile: String? { value("smtp_password_file") }
    public var smtpCAFile: String? { value("smtp_ca_file") }
    public var command: String? { value("command") }
    /// Milliseconds, as the other durations.
    public var timeout: Int64 { milliseconds("timeout") }
    public var attempts: Int { value("attempts").flatMap { Int($0) } ?? 1 }
    public var retryDelay: Int64 { milliseconds("retry_delay") }
    public var repeatAfter: Int64 { milliseconds("repeat_after") }
    public var archiveFailingAfter: Int64 { milliseconds("archive_failing_after") }

    /// Files that hold secrets, by the setting that names them.
    public var secretFiles: [(setting: String, path: String)] {
        ["webhook_url_file", "webhook_secret_file", "smtp_password_file"].compactMap { name in
            value(name).map { (name, $0) }
        }
    }

    /// Why the section as a whole is useless or unsafe; the setting names the line to report.
    var objection: (setting: String?, problem: String, hint: String?)? {
        if webhookURL != nil && webhookURLFile != nil {
            return ("webhook_url_file", "webhook_url and webhook_url_file exclude each other", nil)
        }
        if let url = webhookURL, let problem = NotifierConfiguration.objection(toWebhook: url) {
            return ("webhook_url", problem, "Write https://host/path.")
        }
        if webhookURL == nil, webhookURLFile == nil, emailTo.isEmpty, command == nil {
            return (nil, "no recipient is configured", "Set webhook_url, email_to or command.")
        }
        guard !emailTo.isEmpty else { return nil }
        for (setting, value) in [("email_from", emailFrom), ("smtp_url", smtpURL)] where value == nil {
            return ("email_to", "\(setting) is missing for email_to", nil)
        }
        for address in emailTo + [emailFrom ?? ""] where !NotifierConfiguration.isAddress(address) {
            return ("email_to", "\"\(address)\" is not an e-mail address", nil)
        }
        guard let url = WebAddress(smtpURL ?? ""), ["smtp", "smtps"].contains(url.scheme),
            url.rest.isEmpty || url.rest == "/"
        else { return ("smtp_url", "smtp_url must be smtp://host:port or smtps://host:port", nil) }
        if smtpUser != nil && !smtpRequiresTLS && url.scheme == "smtp" && !url.isThisMachine {
            return (
                "smtp_tls", "smtp_tls is off, so that the password would cross the network unencrypted",
                "Leave smtp_tls at \"required\"."
            )
        }
        return nil
    }

    /// Why a webhook's address can't be used. The address isn't repeated: it may be a secret.
    public static func objection(toWebhook text: String) -> String? {
        guard let url = WebAddress(text), ["http", "https"].contains(url.scheme) else {
            return "the webhook's address is not an http or https address"
        }
        return url.scheme == "http" && !url.isThisMachine
            ? "the webhook's address must start with https:// unless it is on this machine" : nil
    }

    /// A check that keeps line ends and angle brackets out of SMTP commands.
    private static func isAddress(_ text: String) -> Bool {
        let halves = text.split(separator: "@", omittingEmptySubsequences: false)
        return halves.count == 2 && !halves[0].isEmpty && !halves[1].isEmpty
            && text.utf8.allSatisfy { $0 > 0x20 && $0 < 0x7F && !"<>\",;:\\()[]".utf8.contains($0) }
    }
}

/// The parts of an address such as `https://host:8443/path`, without user information.
public struct WebAddress: Sendable, Equatable {
    public let scheme: String
    public let host: String
    /// With its colon; empty when there is none.
    public let port: String
    /// Path, query and fragment.
    public let rest: String

    /// Nil for a text that isn't such an address, or contains a user name or password.
    public init?(_ text: String) {
        guard let mark = text.firstRange(of: "://"), text.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7F }) else {
            return nil
        }
        scheme = text[..<mark.lowerBound].lowercased()
        let others = text[mark.upperBound...]
        let authority = others.prefix { $0 != "/" && $0 != "?" && $0 != "#" }
        rest = String(others.dropFirst(authority.count))
        guard !authority.contains("@") else { return nil }
        let colon = authority.hasSuffix("]") ? nil : authority.lastIndex(of: ":")
        host = authority[..<(colon ?? authority.endIndex)].lowercased()
        port = colon.map { String(authority[$0...]) } ?? ""
        guard !host.isEmpty, port.isEmpty || UInt16(port.dropFirst()) != nil else { return nil }
    }

    public var isThisMachine: Bool { host == "localhost" || host == "[::1]" || host.hasPrefix("127.") }

    /// Without path and query, which may be secrets.
    public var shown: String { "\(scheme)://\(host)\(port)" + (rest.isEmpty || rest == "/" ? "" : "/…") }
}

import Configuration
import Platform
import Testing

/// A mistake in `[notify]` or `[check]`, and the expected message.
struct WatchingMistake: Sendable, CustomTestStringConvertible {
    let name: String
    let lines: String
    let message: String
    var hint: String?
    var testDescription: String { name }

    static let all = [
        WatchingMistake(
            name: "unknown setting", lines: "[notify]\nwebhok_url = 'https://h/x'",
            message: "t.conf:5: unknown setting \"webhok_url\"", hint: "Did you mean \"webhook_url\"?"),
        WatchingMistake(
            name: "a cluster's setting in the wrong place", lines: "[notify]\ncommand = x\ncompress_level = 3",
            message: "t.conf:6: unknown setting \"compress_level\""),
        WatchingMistake(
            name: "nobody to tell", lines: "[notify]\nevents = all", message: "t.conf:4: no recipient is configured",
            hint: "Set webhook_url, email_to or command."),
        WatchingMistake(
            name: "unknown event", lines: "[notify]\ncommand = x\nevents = 'backup_failure, backup_sucess'",
            message: "t.conf:6: events cannot contain \"backup_sucess\"", hint: "Did you mean \"backup_success\"?"),
        WatchingMistake(
            name: "no TLS to another machine", lines: "[notify]\nwebhook_url = 'http://hooks.example.org/SECRET'",
            message: "t.conf:5: the webhook's address must start with https:// unless it is on this machine",
            hint: "Write https://host/path."),
        WatchingMistake(
            name: "password in an address", lines: "[notify]\nwebhook_url = 'https://me:SECRET@h/x'",
            message: "t.conf:5: the webhook's address is not an http or https address", hint: "Write https://host/path."
        ),
        WatchingMistake(
            name: "mail without a server",
            lines: "[notify]\nemail_to = 'a@b'\nemail_from = 'c@d'",
            message: "t.conf:5: smtp_url is missing for email_to"),
        WatchingMistake(
            name: "not an address", lines: "[notify]\nemail_to = 'a@b>,c'\nemail_from = 'c@d'\nsmtp_url = smtp://h",
            message: "t.conf:5: \"a@b>\" is not an e-mail address"),
        WatchingMistake(
            name: "password in the clear",
            lines:
                "[notify]\nemail_to = 'a@b'\nemail_from = 'c@d'\nsmtp_url = smtp://mail.example.org\nsmtp_user = u\nsmtp_tls = off",
            message: "t.conf:9: smtp_tls is off, so that the password would cross the network unencrypted",
            hint: "Leave smtp_tls at \"required\"."),
        WatchingMistake(
            name: "bad duration", lines: "[notify]\ncommand = x\ntimeout = soon",
            message: "t.conf:6: timeout must be a duration, not \"soon\"",
            hint: "Valid units are \"ms\", \"s\", \"min\", \"h\" and \"d\"; the longest is 36500d."),
        WatchingMistake(
            name: "unknown check", lines: "[check]\nrpo_warnign = 5min",
            message: "t.conf:5: unknown setting \"rpo_warnign\"", hint: "Did you mean \"rpo_warning\"?"),
        WatchingMistake(
            name: "limit of a check that has none", lines: "[check]\nserver_warning = 5",
            message: "t.conf:5: unknown setting \"server_warning\""),
        WatchingMistake(
            name: "percent over 100", lines: "[check]\nrepository_space_warning = 110",
            message: "t.conf:5: repository_space_warning must be a whole number from 0 to 100, not \"110\""),
        WatchingMistake(
            name: "silence without a reason", lines: "[check]\nrpo_silenced = ''",
            message: "t.conf:5: a silenced check needs a reason"),
        WatchingMistake(
            name: "silence with half a date", lines: "[check]\nrpo_silenced = 'until March: moving house'",
            message: "t.conf:5: a silence with an end is written \"until YYYY-MM-DD: reason\""),
        WatchingMistake(
            name: "check of another cluster", lines: "[check mian]\nrpo_warning = 5min",
            message: "t.conf:4: there is no cluster \"mian\" to check", hint: "Did you mean [check main]?"),
    ]
}

struct WatchingSectionsTests {
    private static let head = "repository = '/r'\n[cluster main]\ndata_directory = '/d'\n"

    @Test(arguments: WatchingMistake.all)
    func `a mistake is reported with its line, and doesn't stop archiving`(_ mistake: WatchingMistake) throws {
        let thrown = try #require(throws: SettingsMistake.self) {
            try Configuration(parsing: Self.head + mistake.lines, file: "t.conf")
        }
        #expect(thrown.message == mistake.message)
        if let hint = mistake.hint { #expect(thrown.hint == hint) }
        #expect(!thrown.description.contains("SECRET"))
        let forArchiving = try Configuration(parsing: Self.head + mistake.lines, file: "t.conf", forArchiving: true)
        #expect(forArchiving.clusters.map(\.name) == ["main"])
    }

    @Test func `nothing of these sections can be given as a flag`() throws {
        let grammar = Grammar("try", "try something")
        let names = (NotifierConfiguration.settings + CheckConfiguration.settings).map(\.name) + ["rpo_silenced"]
        #expect(names.count > 40)
        for name in names {
            let flag = "--" + name.replacing("_", with: "-")
            #expect(throws: UsageError.self, "\(flag)") { try Arguments([flag, "1"], by: grammar) }
        }
    }

    @Test func `several notifiers, with defaults, groups of events and several addresses`() throws {
        let configuration = try Configuration(
            parsing: Self.head + """
                [notify]
                command = 'logger -t tidemark'
                [notify ops]
                events = 'all'
                webhook_url = 'https://hooks.example.org/services/T0/B0/SECRET'
                email_to = 'a@example.org, b@example.org'
                email_from = 'c@example.org'
                smtp_url = 'smtp://mail.example.org:587'
                timeout = 3s
                """, file: "t.conf")
        #expect(configuration.notifiers.map(\.name) == ["notify", "ops"])
        let (first, second) = (configuration.notifiers[0], configuration.notifiers[1])
        #expect(first.events.contains(.backupFailure) && first.events.contains(.recovery))
        #expect(!first.events.contains(.backupSuccess))
        #expect(second.events == Set(NotificationEvent.allCases))
        #expect(second.emailTo == ["a@example.org", "b@example.org"] && second.smtpRequiresTLS)
        #expect(second.timeout == 3000 && first.timeout == 10_000)
        #expect(second.shownValue("webhook_url") == "https://hooks.example.org/…")
        #expect(second.source("timeout") == .file(path: "t.conf", line: 12))
    }

    @Test func `a cluster's own limits win over the shared ones, and those over the defaults`() throws {
        let configuration = try Configuration(
            parsing: Self.head + """
                [cluster shop]
                data_directory = '/s'
                [check]
                rpo_warning = 2min
                backup_age_warning = 2d
                clock_silenced = 'virtual machine without NTP'
                [check shop]
                rpo_warning = 30s
                drill_silenced = 'until 2026-12-01: hardware is on its way'
                """, file: "t.conf")
        let main = configuration.checks(for: configuration.clusters[0])
        let shop = configuration.checks(for: configuration.clusters[1])
        func definition(_ id: String) throws -> CheckDefinition { try #require(CheckDefinition.named(id)) }
        #expect(try main.limits(definition("rpo")) == (120, 3600))
        #expect(try shop.limits(definition("rpo")) == (30, 3600))
        #expect(try shop.limits(definition("backup_age")) == (172_800, 864_000))
        #expect(try main.limits(definition("rto")) == (nil, nil))
        #expect(try main.silence(definition("clock"))?.reason == "virtual machine without NTP")
        #expect(try main.silence(definition("drill")) == nil)
        #expect(try shop.silence(definition("drill"))?.reason == "hardware is on its way")
        #expect(try shop.silence(definition("drill"))?.until == "2026-12-01")
    }
}

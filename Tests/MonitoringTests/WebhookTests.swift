import Configuration
import FoundationEssentials
import Glibc
import Monitoring
import Notifications
import Platform
import Support
import Testing
import WAL

/// Receivers from the lines of a section `[notify]`; the timeouts are long, except where a test expects one.
func receivers(_ lines: [String]) throws -> [Receiver] {
    let all = lines + (lines.contains { $0.hasPrefix("timeout") } ? [] : ["timeout = 300s"])
    let text = "repository = '/r'\n[cluster main]\ndata_directory = '/d'\n[notify]\n" + all.joined(separator: "\n")
    return Receiver.all(of: try Configuration(parsing: text, file: "t.conf").notifiers)
}

func notification(
    _ event: NotificationEvent? = .backupFailure, _ status: Notification.Status = .error,
    message: String = "backup failed: could not connect to the PostgreSQL server", at seconds: Int64 = 0
) -> Notification {
    Notification(
        event: event, status: status, cluster: "main", host: "db1",
        time: Moment(microseconds: Clock.now + seconds * 1_000_000), subject: "backup", message: message,
        details: [Notification.Detail("exit status", "1"), Notification.Detail("hint", "Is it running? Ω <b>\"&")])
}

@Suite struct WebhookTests {
    /// Path, whether it is delivered, and the error when it isn't.
    struct Behaviour: Sendable, CustomTestStringConvertible {
        let path: String
        var says: String?
        var isPermanent = false
        var testDescription: String { path }

        static let all = [
            Behaviour(path: "ok"), Behaviour(path: "huge"),
            Behaviour(path: "failing", says: "answered with status 500"),
            Behaviour(path: "busy", says: "answered with status 429"),
            Behaviour(path: "patient", says: "answered with status 429"),
            Behaviour(path: "gone", says: "answered with status 410", isPermanent: true),
            Behaviour(path: "redirect", says: "answered with status 302", isPermanent: true),
            Behaviour(path: "slow", says: "timed out"), Behaviour(path: "drip", says: "timed out"),
            Behaviour(path: "drop", says: "Empty reply"), Behaviour(path: "garbage", says: "HTTP/0.9"),
            Behaviour(path: "short", says: "transfer closed"),
        ]
    }

    @Test func `a web server that is slow, failing or lying is distinguished from one that took the message`() throws {
        let server = try LoopbackServer("http_server.py")
        for behaviour in Behaviour.all {
            let url = "http://127.0.0.1:\(server.port)/\(behaviour.path)/T0KEN?key=hidden"
            let receiver = try #require(
                try receivers([
                    "webhook_url = '\(url)'", "timeout = \(behaviour.says == "timed out" ? "700ms" : "300s")",
                ]).first)
            let start = Clock.monotonic
            let failure = receiver.test(notification())
            #expect(Clock.monotonic - start < 300_000_000_000, "\(behaviour.path)")
            #expect((failure == nil) == (behaviour.says == nil), "\(behaviour.path): \(failure?.reason ?? "delivered")")
            if let says = behaviour.says {
                #expect(failure?.reason.contains(says) == true, "\(behaviour.path): \(failure?.reason ?? "")")
                #expect(failure?.isPermanent == behaviour.isPermanent, "\(behaviour.path)")
            }
            // The part after the host often is a password.
            #expect(failure?.description.contains("T0KEN") != true && failure?.description.contains("hidden") != true)
        }
        // A redirection isn't followed: only the configured address gets the message.
        #expect(try server.log(SeenRequest.self).filter { $0.path.hasPrefix("/ok") }.count == 1)
        #expect(try receivers(["webhook_url = 'http://127.0.0.1:1/x'"])[0].test(notification())?.isPermanent == false)
    }

    /// The document's fields, according to docs/notifications.md.
    private struct Document: Decodable {
        let id, source, event, status, cluster, host, message, timestamp, text: String
        let details: [String: String]
    }

    @Test func `the document says what happened, and its signature proves who said it`() throws {
        let server = try LoopbackServer("http_server.py")
        let scratch = try Scratch()
        let secret = scratch.file("secret")
        try createDurably(secret, bytes: Array("It's a s3cret Ω\n".utf8), mode: 0o600)
        let sent = notification()
        let receiver = try receivers([
            "webhook_url = 'http://127.0.0.1:\(server.port)/ok'", "webhook_secret_file = '\(secret)'",
        ])[0]
        #expect(receiver.test(sent) == nil)
        let seen = try #require(try server.log(SeenRequest.self).first)
        #expect(seen.method == "POST")
        #expect(seen.headers["Content-Type"] == "application/json")
        #expect(seen.headers["X-Tidemark-Id"] == sent.id)
        let document = try JSONDecoder().decode(Document.self, from: Data(seen.body.utf8))
        #expect(document.source == "tidemark" && document.event == "backup_failure" && document.status == "error")
        #expect(document.message == sent.message && document.timestamp == sent.time.iso8601 && document.id == sent.id)
        #expect(document.text.contains("[error] main on db1: backup failed"))
        #expect(document.details == ["exit_status": "1", "hint": "Is it running? Ω <b>\"&"])
        // Another implementation of HMAC.
        let body = scratch.file("body")
        try createDurably(body, bytes: Array(seen.body.utf8))
        let expected = try run(
            "/usr/bin/python3",
            [
                "-c",
                "import hmac,sys; print('sha256='+hmac.new(open(sys.argv[1]).read().strip().encode(), open(sys.argv[2],'rb').read(), 'sha256').hexdigest())",
                secret, body,
            ]
        ).output.split(separator: "\n").first
        #expect(seen.headers["X-Tidemark-Signature"] == expected.map(String.init))
    }

    @Test func `without a key there is no signature`() throws {
        let server = try LoopbackServer("http_server.py")
        #expect(try receivers(["webhook_url = 'http://127.0.0.1:\(server.port)/ok'"])[0].test(notification()) == nil)
        #expect(try server.log(SeenRequest.self).first?.headers["X-Tidemark-Signature"] == nil)
    }

    @Test func `a certificate nobody vouches for, or for another name, is refused`() throws {
        let scratch = try Scratch()
        let own = try TestCertificate(in: scratch)
        let server = try LoopbackServer("http_server.py", [own.certificate, own.key])
        let url = "webhook_url = 'https://127.0.0.1:\(server.port)/ok'"
        let distrusted = try receivers([url])[0].test(notification())
        #expect(distrusted?.isPermanent == true && distrusted?.reason.contains("certificate") == true)
        #expect(try server.log(SeenRequest.self).isEmpty)
        #expect(try receivers([url, "webhook_ca_file = '\(own.certificate)'"])[0].test(notification()) == nil)

        let otherScratch = try Scratch()
        let other = try TestCertificate(in: otherScratch, for: "DNS:elsewhere.example")
        let imposter = try LoopbackServer("http_server.py", [other.certificate, other.key])
        let refused = try receivers([
            "webhook_url = 'https://127.0.0.1:\(imposter.port)/ok'", "webhook_ca_file = '\(other.certificate)'",
        ])[0].test(notification())
        #expect(refused?.isPermanent == true, "\(refused?.reason ?? "delivered")")
        #expect(try imposter.log(SeenRequest.self).isEmpty)
    }

    @Test(arguments: [0o644, 0o604, 0o660, 0o620] as [mode_t])
    func `a secret that others can read or change is not used`(mode: mode_t) throws {
        let scratch = try Scratch()
        try createDurably(scratch.file("key"), bytes: Array("key".utf8), mode: mode)
        chmod(scratch.file("key"), mode)
        let failure = try receivers([
            "webhook_url = 'http://127.0.0.1:1/x'", "webhook_secret_file = '\(scratch.file("key"))'",
        ])[0].test(notification())
        #expect(failure?.reason == "secret file \"\(scratch.file("key"))\" is open to others")
        #expect(failure?.hint?.contains("chmod 0600") == true)
    }

    @Test(arguments: [0o600, 0o400, 0o640] as [mode_t])
    func `a secret that its owner, or a group, alone may read is used`(mode: mode_t) throws {
        let server = try LoopbackServer("http_server.py")
        let scratch = try Scratch()
        try createDurably(scratch.file("key"), bytes: Array("key".utf8), mode: 0o600)
        chmod(scratch.file("key"), mode)
        let failure = try receivers([
            "webhook_url = 'http://127.0.0.1:\(server.port)/ok'", "webhook_secret_file = '\(scratch.file("key"))'",
        ])[0].test(notification())
        #expect(failure == nil, "\(failure?.reason ?? "")")
        #expect(try server.log(SeenRequest.self).first?.headers["X-Tidemark-Signature"] != nil)
    }

    /// In a process of its own, since the environment is shared.
    @Test func `secrets come from the environment as well`() throws {
        let web = try LoopbackServer("http_server.py")
        let scratch = try Scratch()
        let certificate = try TestCertificate(in: scratch)
        let mail = try LoopbackServer("smtp_server.py", ["starttls,auth", certificate.certificate, certificate.key])
        try Files.makeDirectories(scratch.file("data"), mode: 0o755)
        if geteuid() == 0 { _ = try run("/bin/chown", ["postgres:", scratch.file("data"), scratch.path]) }
        let text = """
            repository = '\(scratch.file("repository"))'
            state_directory = '\(scratch.file("state"))'
            [cluster main]
            data_directory = '\(scratch.file("data"))'
            [notify]
            webhook_url = 'http://127.0.0.1:\(web.port)/ok'
            email_to = 'dba@example.org'
            email_from = 'tidemark@example.org'
            smtp_url = 'smtp://127.0.0.1:\(mail.port)'
            smtp_user = postmaster
            smtp_ca_file = '\(certificate.certificate)'

            """
        try createDurably(scratch.file("tidemark.conf"), bytes: Array(text.utf8), mode: 0o644)
        let told = try tidemark(
            ["notify", "--test", "--config", scratch.file("tidemark.conf")],
            environment: [
                "TIDEMARK_WEBHOOK_SECRET": "key", "TIDEMARK_SMTP_PASSWORD": "pass word", "no_proxy": "*",
            ])
        #expect(told.ending == .exited(0), "\(told)")
        let seen = try #require(try web.log(SeenRequest.self).first)
        let script = "import hmac, sys; print(hmac.new(b'key', sys.argv[1].encode(), 'sha256').hexdigest())"
        let expected = try run("/usr/bin/python3", ["-c", script, seen.body]).output.prefix(64)
        #expect(seen.headers["X-Tidemark-Signature"] == "sha256=\(expected)")
        #expect(try mail.log(SeenMail.self).first?.user == "postmaster")
    }

    @Test func `a secret address can be kept in a file`() throws {
        let server = try LoopbackServer("http_server.py")
        let scratch = try Scratch()
        try createDurably(
            scratch.file("url"), bytes: Array("http://127.0.0.1:\(server.port)/ok/S3CRET\n".utf8), mode: 0o600)
        #expect(try receivers(["webhook_url_file = '\(scratch.file("url"))'"])[0].test(notification()) == nil)
        #expect(try server.log(SeenRequest.self).first?.path == "/ok/S3CRET")
    }
}

import Configuration
import Glibc
import Monitoring
import Notifications
import Platform
import Support
import Testing

@Suite struct MailTests {
    private let scratch: Scratch
    private let certificate: TestCertificate

    init() throws {
        scratch = try Scratch()
        certificate = try TestCertificate(in: scratch)
        try createDurably(scratch.file("password"), bytes: Array("pass word\n".utf8), mode: 0o600)
        try createDurably(scratch.file("wrong"), bytes: Array("passw0rd\n".utf8), mode: 0o600)
    }

    private func server(_ modes: String) throws -> LoopbackServer {
        try LoopbackServer("smtp_server.py", [modes, certificate.certificate, certificate.key])
    }

    private func receiver(
        _ server: LoopbackServer, scheme: String = "smtp", timeout: String = "300s", _ lines: [String] = []
    ) throws -> Receiver {
        try receivers(
            [
                "email_to = 'dba@example.org, boss@example.org'", "email_from = 'tidemark@example.org'",
                "smtp_url = '\(scheme)://127.0.0.1:\(server.port)'", "smtp_ca_file = '\(certificate.certificate)'",
                "timeout = \(timeout)",
            ] + lines)[0]
    }

    @Test(arguments: [("smtp", "starttls,auth"), ("smtps", "tls,auth")])
    func `mail goes encrypted, with the password, to every address`(scheme: String, modes: String) throws {
        let server = try server(modes)
        let receiver = try receiver(
            server, scheme: scheme, ["smtp_user = postmaster", "smtp_password_file = '\(scratch.file("password"))'"])
        let failure = receiver.test(notification(message: "backup failed: Größe <falsch>\r\nBcc: evil@example.org"))
        #expect(failure == nil, "\(failure?.reason ?? "")")
        let mail = try #require(try server.log(SeenMail.self).first)
        #expect(mail.encrypted && mail.user == "postmaster")
        #expect(mail.from.hasPrefix("<tidemark@example.org>"))
        #expect(mail.to == ["<dba@example.org>", "<boss@example.org>"])
        // Parsed by another parser: both parts, and no header from the message's text.
        try createDurably(scratch.file("\(scheme).eml"), bytes: Array(mail.data.utf8))
        let parsed = try run(
            "/usr/bin/python3",
            [
                "-c",
                """
                import email, email.policy, sys
                m = email.message_from_binary_file(open(sys.argv[1], 'rb'), policy=email.policy.default)
                print(m['subject']); print(m['bcc']); print(m['from']); print(m['date'].datetime.tzinfo)
                print(m.get_content_type(), m.defects)
                print(repr(m.get_body(('plain',)).get_content()))
                print(m.get_body(('html',)).get_content())
                """, scratch.file("\(scheme).eml"),
            ])
        #expect(parsed.ending == .exited(0), "\(parsed.errors)")
        let lines = parsed.output.split(separator: "\n").map(String.init)
        #expect(
            lines[0] == "tidemark: [error] main on db1: backup failed: Größe <falsch> Bcc: evil@example.org",
            "\(lines[0])")
        #expect(lines[1] == "None")
        #expect(lines[4] == "multipart/alternative []")
        #expect(lines[5].contains("Größe <falsch>") && lines[5].contains("exit status: 1"))
        #expect(lines[6].contains("Größe &lt;falsch&gt;") && lines[6].contains("&lt;b&gt;&quot;&amp;"))
        #expect(mail.data.split(separator: "\r\n").allSatisfy { $0.utf8.count <= 78 })
    }

    /// The server's behaviour, and the expected message.
    struct Behaviour: Sendable, CustomTestStringConvertible {
        let modes: String
        let says: String
        var isPermanent = false
        var scheme = "smtp"
        var timeout = "300s"
        var lines: [String] = []
        var testDescription: String { modes + (lines.first ?? "") }

        static let all = [
            // A server without STARTTLS gets no mail.
            Behaviour(modes: "nostarttls", says: "STARTTLS", isPermanent: true),
            Behaviour(modes: "badtls", says: "SSL"),
            Behaviour(modes: "refuse", says: "550", isPermanent: true),
            Behaviour(modes: "full", says: "552", isPermanent: true),
            Behaviour(modes: "busy", says: "451"),
            Behaviour(modes: "vanish", says: ""),
            Behaviour(modes: "silent", says: "timed out", timeout: "1s"),
            // Each side waits for the other to begin.
            Behaviour(modes: "tls", says: "", scheme: "smtp", timeout: "1s"),
        ]
    }

    @Test(arguments: Behaviour.all)
    func `a mail server that fails or lies is not believed`(_ behaviour: Behaviour) throws {
        let server = try server(behaviour.modes)
        let start = Clock.monotonic
        let failure = try receiver(server, scheme: behaviour.scheme, timeout: behaviour.timeout, behaviour.lines)
            .test(notification())
        #expect(Clock.monotonic - start < 300_000_000_000)
        let reason = try #require(failure?.reason)
        #expect(reason.contains(behaviour.says), "\(reason)")
        #expect(failure?.isPermanent == behaviour.isPermanent, "\(reason)")
        #expect(try server.log(SeenMail.self).isEmpty)
    }

    @Test func `a wrong password is refused once and for all, and never shown`() throws {
        let server = try server("starttls,auth")
        let failure = try receiver(
            server, ["smtp_user = postmaster", "smtp_password_file = '\(scratch.file("wrong"))'"]
        ).test(notification())
        #expect(failure?.isPermanent == true)
        #expect(failure?.description.contains("passw0rd") == false)
    }

    @Test func `an unknown certificate is refused before anything is sent`() throws {
        let server = try server("starttls")
        let strangers = try Scratch()
        let other = try TestCertificate(in: strangers)
        let failure = try receivers([
            "email_to = 'dba@example.org'", "email_from = 'tidemark@example.org'",
            "smtp_url = 'smtp://127.0.0.1:\(server.port)'", "smtp_ca_file = '\(other.certificate)'",
        ])[0].test(notification())
        #expect(failure?.isPermanent == true)
        #expect(try server.log(SeenMail.self).isEmpty)
    }

    @Test func `a mail server of this machine may do without encryption if configured so`() throws {
        let server = try server("nostarttls")
        #expect(try receiver(server, ["smtp_tls = off"]).test(notification()) == nil)
        #expect(try server.log(SeenMail.self).first?.encrypted == false)
    }
}

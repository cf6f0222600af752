import Glibc
import Platform
import Support
import Testing

/// A password in a connection string, well-formed or not, and in the environment, is never shown.
@Suite(.serialized) struct SecretServerTests {
    private static let secret = "hunter2secret"
    private static let site = TestSite.shared {
        let site = try TestSite(initdb: ["--wal-segsize=1"])
        try site.tidemark(["backup"], expectSuccess: true)
        return site
    }

    @Test(arguments: [
        "host=/nonexistent password=hunter2secret",
        "host=/nonexistent sslpassword = hunter2secret",
        "host=/nonexistent password=''hunter2secret'' user=joe",
        "host=/nonexistent password=''hunter2secret",
        "host=/nonexistent password=hunter2secret nonsense",
        "host=/nonexistent passwrd=hunter2secret",
        "postgresql://joe:hunter2secret@localhost:1/x",
        "postgresql://joe:hunter2secret@localhost:port:port/x",
        "postgresql://joe:hunter2secret@[::1/x",
        "postgresql://joe@localhost:1/x?password=hunter2secret",
        "postgresql://joe@localhost:1/x?passwrd=hunter2secret",
        "postgresql://joe@localhost:1/x?password=hunter2secret&hunter2secret",
        "postgresql://joe:%zzhunter2secret@localhost:1/x",
    ])
    func `it is in no message, no record and no setting that is shown`(_ conninfo: String) throws {
        let site = try Self.site.get()
        let configuration = site.scratch.file("secret.conf")
        let told = site.scratch.file("told")
        let lines = try Files.readText(site.configuration).split(separator: "\n").filter { !$0.hasPrefix("conninfo") }
        let text =
            (lines + ["conninfo = '\(conninfo)'", "[notify all]", "events = 'all'", "command = 'cat >> \(told)'"])
            .joined(separator: "\n")
        try replaceDurably(configuration, bytes: Array((text + "\n").utf8), mode: 0o644)
        var said = ""
        for command in [
            ["settings"], ["settings", "--json"], ["check"], ["check", "--format", "json"], ["status"], ["backup"],
            ["init"], ["drill"], ["recover-table", "-t", "postgres.public.t", "--target", "latest", "--into-table"],
            ["recover", "--target", "latest", "--data-directory", site.scratch.file("copy"), "--yes"],
            ["history"], ["notify", "--deliver"], ["report", "--html", "-"],
        ] {
            for format in ["text", "json"] {
                let finished = try site.tidemark(
                    command + ["--config", configuration, "--verbose", "--log-format", format],
                    environment: [
                        "PGPASSWORD": "environment-hunter2secret", "TIDEMARK_SMTP_PASSWORD": "smtp-hunter2secret",
                        "TIDEMARK_WEBHOOK_SECRET": "hook-hunter2secret",
                    ])
                let isSaid = (finished.output + finished.errors).contains(Self.secret)
                #expect(!isSaid, "\(command): \(finished.output)\(finished.errors)")
                said += finished.output + finished.errors
            }
            _ = try run("/bin/rm", ["-rf", site.scratch.file("copy")])
        }
        #expect(said.contains("conninfo"))
        let found = try run(
            "/bin/grep", ["-rl", Self.secret, site.repository, site.scratch.file("state"), told]
        ).output
        #expect(found == "", "\(found)")
    }
}

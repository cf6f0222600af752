import Configuration
import Glibc
import Platform
import Support
import Testing

/// What a site's jobs tell, through a command that writes it to a file.
@Suite(.serialized) struct TellingTests {
    static func site(_ command: String = "cat >> TOLD", _ lines: [String] = []) throws -> TestSite {
        let site = try TestSite()
        let told = site.scratch.file("told")
        let text =
            try Files.readText(site.configuration)
            + ([
                "[notify]", "events = all",
                "command = '\(command.split(separator: "TOLD", omittingEmptySubsequences: false).joined(separator: told))'",
            ]
            + lines).joined(separator: "\n") + "\n"
        try replaceDurably(site.configuration, bytes: Array(text.utf8), mode: 0o644)
        return site
    }

    static func told(_ site: TestSite) throws -> String {
        try Files.exists(site.scratch.file("told")) ? Files.readText(site.scratch.file("told")) : ""
    }

    /// A recovery that can't be: nothing to recover from.
    static func failingJob(_ site: TestSite) throws -> Finished {
        try site.tidemark(
            ["recover", "--target-name", "nowhere", "--yes", "--data-directory", site.scratch.file("recovered")])
    }

    @Test func `a job that fails is told, recorded, and fails as it would have`() throws {
        let site = try Self.site()
        let finished = try Self.failingJob(site)
        #expect(finished.ending == .exited(1) || finished.ending == .exited(4), "\(finished.errors)")
        try site.cluster.wait(for: "the message") { try !Self.told(site).isEmpty }
        #expect(try Self.told(site).contains("\"event\":\"recovery\""))
        let row = try #require(try HistoryTests.rows(site).first)
        #expect(row.job == "recover" && row.result == "failure" && row.message?.isEmpty == false)
        #expect(.exited(row.exitStatus) == finished.ending)
        let table = try site.tidemark(["history", "--failed"], expectSuccess: true).output
        #expect(table.contains("recover") && table.contains("failure"))
    }

    @Test func `a receiver that takes its time keeps no job waiting`() throws {
        let site = try Self.site("until [ -e TOLD.open ]; do sleep 0.1; done; cat >> TOLD", ["timeout = 600s"])
        _ = try Self.failingJob(site)
        #expect(try Self.told(site).isEmpty)
        try createDurably(site.scratch.file("told.open"), bytes: [])
        try site.cluster.wait(for: "the message") { try !Self.told(site).isEmpty }
    }

    @Test func `neither a state directory nor a repository that can't be written to changes a job's result`() throws {
        let site = try Self.site()
        let normal = try Self.failingJob(site)
        try runAsServerUser(
            "/bin/sh",
            [
                "-c",
                "chmod -R a-w '\(site.repository)'; rm -rf '\(site.scratch.file("state"))'; : > '\(site.scratch.file("state"))'",
            ])
        let hindered = try Self.failingJob(site)
        try runAsServerUser("/bin/sh", ["-c", "chmod -R u+w '\(site.repository)'"])
        #expect(hindered.ending == normal.ending)
        #expect(hindered.errors.contains("could not"))
    }

    @Test func `what could not be delivered is delivered later`() throws {
        let site = try Self.site("test -e TOLD.open && cat >> TOLD", ["attempts = 1"])
        _ = try Self.failingJob(site)
        try site.cluster.wait(for: "the failed delivery") {
            try Files.exists(site.scratch.file("state/main/notify/delivery.log"))
                && Files.readText(site.scratch.file("state/main/notify/delivery.log")).contains("could not deliver")
        }
        #expect(try site.tidemark(["notify"], expectSuccess: true).output.contains("1 messages wait"))
        #expect(try site.tidemark(["notify", "--deliver"]).ending == .exited(1))
        try createDurably(site.scratch.file("told.open"), bytes: [])
        #expect(try site.tidemark(["notify", "--deliver"]).ending == .exited(0))
        #expect(try Self.told(site).contains("recovery"))
    }

    @Test func `notify --test tells everybody, and says who could not be told`() throws {
        let site = try Self.site("cat >> TOLD", ["webhook_url = 'http://127.0.0.1:1/T0KEN'"])
        let finished = try site.tidemark(["notify", "--test"])
        #expect(finished.ending == .exited(1))
        #expect(finished.output.contains("Told \"notify/command\"."))
        #expect(finished.errors.contains("could not deliver a notification to \"notify/webhook\""))
        #expect(!finished.errors.contains("T0KEN"))
        #expect(try Self.told(site).contains("\"event\":\"test\""))
        let settings = try site.tidemark(["settings"], expectSuccess: true).output
        #expect(settings.contains("http://127.0.0.1:1/…") && !settings.contains("T0KEN"))
    }

    @Test func `nobody to tell is said with what to do`() throws {
        let site = try TestSite(initialize: false)
        let finished = try site.tidemark(["notify", "--test"])
        #expect(finished.ending == .exited(1))
        #expect(finished.errors.contains("HINT:  Add a section [notify]"))
    }

    @Test func `a unit that failed is told with what systemd knows`() throws {
        let site = try Self.site()
        let finished = try site.tidemark(
            ["notify", "--unit", "tidemark-backup@main.service"],
            environment: ["MONITOR_SERVICE_RESULT": "oom-kill", "MONITOR_EXIT_STATUS": "KILL"])
        #expect(finished.ending == .exited(0), "\(finished.errors)")
        try site.cluster.wait(for: "the message") { try !Self.told(site).isEmpty }
        let told = try Self.told(site)
        #expect(told.contains("unit tidemark-backup@main.service failed") && told.contains("oom-kill"))
    }

    @Test func `every event is in docs/notifications.md`() throws {
        let page = try Files.readText(Files.parent(Files.parent(Files.parent(#filePath))) + "/docs/notifications.md")
        for event in NotificationEvent.allCases { #expect(page.contains("`\(event.rawValue)`"), "\(event)") }
    }
}

import Configuration
import Glibc
import Platform
import Support
import Testing

/// The notifications of a site's jobs, from a command that writes them to a file.
@Suite(.serialized) struct TellingTests {
    static func site(_ command: String = "cat >> TOLD", _ lines: [String] = []) throws -> TestSite {
        let site = try TestSite()
        let told = site.scratch.file("told")
        let text =
            try Files.readText(site.configuration)
            + ([
                "[notify]",
                "command = '\(command.split(separator: "TOLD", omittingEmptySubsequences: false).joined(separator: told))'",
            ]
            + (lines.contains { $0.hasPrefix("events") } ? [] : ["events = all"]) + lines).joined(separator: "\n")
            + "\n"
        try replaceDurably(site.configuration, bytes: Array(text.utf8), mode: 0o644)
        return site
    }

    static func told(_ site: TestSite) throws -> String {
        try Files.exists(site.scratch.file("told")) ? Files.readText(site.scratch.file("told")) : ""
    }

    /// A backup of a server that isn't running.
    static func failingJob(_ site: TestSite) throws -> Finished {
        try site.tidemark(["backup", "--conninfo", "host=/nonexistent"])
    }

    @Test func `a job that fails is notified, recorded, and fails as it would have`() throws {
        let site = try Self.site()
        let finished = try Self.failingJob(site)
        #expect(finished.ending == .exited(1) || finished.ending == .exited(4), "\(finished.errors)")
        try site.cluster.wait(for: "the message") { try !Self.told(site).isEmpty }
        #expect(try Self.told(site).contains("\"event\":\"backup_failure\""))
        let row = try #require(try HistoryTests.rows(site).first)
        #expect(row.job == "backup" && row.result == "failure" && row.message?.isEmpty == false)
        #expect(.exited(row.exitStatus) == finished.ending)
        let table = try site.tidemark(["history", "--failed"], expectSuccess: true).output
        #expect(table.contains("backup") && table.contains("failure"))
    }

    @Test func `a slow receiver keeps no job waiting`() throws {
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
                // The delivery of the first notification may still be running there.
                "chmod -R a-w \"$1\"; : >\"$2.file\"; until rm -rf \"$2\" && mv -T \"$2.file\" \"$2\"; do sleep 0.1; done",
                "sh", site.repository, site.scratch.file("state"),
            ])
        let hindered = try Self.failingJob(site)
        try runAsServerUser("/bin/sh", ["-c", "chmod -R u+w '\(site.repository)'"])
        #expect(hindered.ending == normal.ending)
        #expect(hindered.errors.contains("could not record the job"))
    }

    @Test func `an undelivered notification is delivered later`() throws {
        let site = try Self.site("test -e TOLD.open && cat >> TOLD", ["attempts = 1"])
        _ = try Self.failingJob(site)
        try site.cluster.wait(for: "the failed delivery") {
            try Files.exists(site.scratch.file("state/main/notify/delivery.log"))
                && Files.readText(site.scratch.file("state/main/notify/delivery.log")).contains("could not deliver")
        }
        #expect(try site.tidemark(["notify"], expectSuccess: true).output.contains("1 message is waiting"))
        #expect(try site.tidemark(["notify", "--deliver"]).ending == .exited(1))
        try createDurably(site.scratch.file("told.open"), bytes: [])
        #expect(try site.tidemark(["notify", "--deliver"]).ending == .exited(0))
        #expect(try Self.told(site).contains("backup_failure"))
    }

    /// A job without anything new to report, one that isn't notified, and the hourly check.
    @Test func `undelivered notifications are delivered by every later job and check`() throws {
        for later in ["the same failure", "backup", "check"] {
            let site = try Self.site("test -e TOLD.open && cat >> TOLD", ["attempts = 1", "events = failures"])
            if later == "check" { try site.tidemark(["backup"], expectSuccess: true) }
            _ = try Self.failingJob(site)
            let log = site.scratch.file("state/main/notify/delivery.log")
            try site.cluster.wait(for: "the failed delivery") {
                try Files.exists(log) && Files.readText(log).contains("could not deliver")
            }
            try createDurably(site.scratch.file("told.open"), bytes: [])
            switch later {
            case "the same failure": _ = try Self.failingJob(site)
            case "backup": try site.tidemark(["backup"], expectSuccess: true)
            default: _ = try site.tidemark(["check", "--notify"])
            }
            try site.cluster.wait(for: "the message, by \(later)") {
                try Self.told(site).contains("\"event\":\"backup_failure\"")
            }
        }
    }

    @Test func `notify --test reaches every receiver, and names those that it could not reach`() throws {
        let site = try Self.site("cat >> TOLD", ["webhook_url = 'http://127.0.0.1:1/T0KEN'"])
        let finished = try site.tidemark(["notify", "--test"])
        #expect(finished.ending == .exited(1))
        #expect(finished.output.contains("Notified \"notify/command\"."))
        #expect(finished.errors.contains("could not deliver a notification to \"notify/webhook\""))
        #expect(!finished.errors.contains("T0KEN"))
        #expect(try Self.told(site).contains("\"event\":\"test\""))
        let settings = try site.tidemark(["settings"], expectSuccess: true).output
        #expect(settings.contains("http://127.0.0.1:1/…") && !settings.contains("T0KEN"))
    }

    @Test func `missing receivers are reported with a hint`() throws {
        let site = try TestSite(initialize: false)
        let finished = try site.tidemark(["notify", "--test"])
        #expect(finished.ending == .exited(1))
        #expect(finished.errors.contains("HINT:  Add a section [notify]"))
    }

    @Test func `a unit that failed is reported with systemd's facts`() throws {
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

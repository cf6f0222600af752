import FoundationEssentials
import Glibc
import Platform
import Support
import Testing

/// The part of `tidemark check --json` that the tests use.
private struct CheckAnswer: Decodable {
    struct Check: Decodable {
        let id: String
        let status: String
        let message: String
        let nextStep: String?
        let value: Double?
    }
    let status: String
    let checks: [Check]

    subscript(_ id: String) -> Check? { checks.first { $0.id == id } }
}

@Suite(.serialized) struct CheckTests {
    /// Makes the archiver fail to archive the segment of a statement.
    private static func failArchiving(_ site: TestSite, of statement: String) throws {
        try site.cluster.psql("alter system set archive_command = '/bin/false'")
        try site.cluster.psql("select pg_reload_conf()")
        try site.cluster.psql(statement)
        try site.cluster.psql("select pg_switch_wal()")
        try site.cluster.wait(for: "a failure") {
            try site.cluster.psql("select failed_count > 0 from pg_stat_archiver") == "t"
        }
    }

    private static func check(_ site: TestSite, _ arguments: [String] = []) throws -> CheckAnswer {
        let finished = try site.tidemark(["check", "--json"] + arguments)
        let decoder = JSONDecoder()
        decoder.keyDecodingStrategy = .convertFromSnakeCase
        do { return try decoder.decode(CheckAnswer.self, from: Data(finished.output.utf8)) } catch {
            throw Problem("check --json: \(finished.ending) \(finished.output)\(finished.errors)")
        }
    }

    /// A site without findings: fsync on, and an archive_timeout longer than a test.
    private static func site(_ settings: [String: String] = [:], _ lines: [String] = []) throws -> TestSite {
        let site = try TestSite(settings: ["fsync": "on", "archive_timeout": "1h"].merging(settings) { $1 })
        let text = try Files.readText(site.configuration) + lines.joined(separator: "\n") + "\n"
        try replaceDurably(site.configuration, bytes: Array(text.utf8), mode: 0o644)
        return site
    }

    @Test func `a cluster with archiving and a backup is well, in every format`() throws {
        let site = try Self.site()
        try site.cluster.psql("create table t as select generate_series(1, 1000) n")
        try site.tidemark(["backup"], expectSuccess: true)
        try site.archiveEverything()
        let answer = try Self.check(site)
        #expect(answer.checks.filter { $0.status != "ok" }.map { "\($0.id): \($0.message)" } == [])
        #expect(answer.status == "ok")

        let table = try site.tidemark(["check"])
        #expect(table.ending == .exited(0) && table.output.contains("is well: \(answer.checks.count) ok."))
        #expect(!table.output.contains("\u{1B}"))
        let nagios = try site.tidemark(["check", "--format", "nagios"])
        #expect(nagios.ending == .exited(0) && nagios.output.hasPrefix("TIDEMARK OK - main: "))

        let metrics = site.scratch.file("tidemark.prom")
        let open = try site.tidemark(["check", "--format", "openmetrics", "--textfile", metrics])
        #expect(open.ending == .exited(0) && open.output.hasSuffix("# EOF\n"))
        for (module, path) in [("openmetrics.parser", site.scratch.file("open")), ("parser", metrics)] {
            if path != metrics { try createDurably(path, bytes: Array(open.output.utf8), mode: 0o644) }
            let parsed = try run(
                "/usr/bin/python3",
                [
                    "-c",
                    "import sys; from prometheus_client.\(module) import text_string_to_metric_families as p; print(len(list(p(open(sys.argv[1]).read()))))",
                    path,
                ])
            #expect(parsed.ending == .exited(0), "\(parsed.errors)")
            #expect(Int(parsed.output.split(separator: "\n").first ?? "") ?? 0 > 20)
        }
        #expect(try Files.readText(metrics).contains("tidemark_server_up{cluster=\"main\"} 1\n"))
        // The next write replaces it in one step.
        #expect(try site.tidemark(["check", "--textfile", metrics]).ending == .exited(0))
        #expect(try Files.list(site.scratch.path).filter { $0.contains("tidemark.prom") } == ["tidemark.prom"])
    }

    @Test func `a commit that is only on the server is found, and forgotten once it is archived`() throws {
        let site = try Self.site(["archive_timeout": "0"])
        try site.tidemark(["backup"], expectSuccess: true)
        try site.archiveEverything()
        #expect(try Self.check(site)["rpo"]?.value == 0)
        let before = Clock.now
        try site.cluster.psql("create table t as select 1")
        let asked = Clock.now
        try site.cluster.psql("select pg_stat_reset()")
        let called = Clock.now
        let age = try #require(try Self.check(site)["rpo"]?.value)
        // Between the commit and the check's own look, as far as both are known from outside, in microseconds.
        let (least, most) = (Double(called - asked) / 1_000_000, Double(Clock.now - before) / 1_000_000)
        #expect(age >= least && age <= most, "\(age), not from \(least) to \(most)")
        // Later commits do not make the oldest one younger.
        try site.cluster.psql("insert into t values (2)")
        #expect(try #require(try Self.check(site)["rpo"]?.value) > age)
        try site.archiveEverything()
        #expect(try Self.check(site)["rpo"]?.value == 0)
    }

    @Test func `a missing segment, a stuck archiver and a dead server are each told apart`() throws {
        let site = try Self.site()
        try site.tidemark(["backup"], expectSuccess: true)
        for _ in 1...3 {
            try site.cluster.psql("create table if not exists t (n int); insert into t values (1)")
            try site.archiveEverything()
        }
        let segments = try run("/usr/bin/find", [site.repository, "-name", "0000000100000000*.zst"]).output
            .split(separator: "\n").map(String.init).sorted()
        let victim = segments[segments.count - 2]
        try Files.rename(victim, to: site.scratch.file("victim"))
        let torn = try Self.check(site)
        #expect(torn["wal_continuity"]?.status == "critical")
        #expect(torn["wal_continuity"]?.message.contains("\(Files.name(victim).dropLast(4))\" is missing") == true)
        #expect(torn["recovery_window"]?.status == "critical")
        let metrics = try site.tidemark(["check", "--format", "openmetrics"]).output
        #expect(metrics.contains("tidemark_wal_missing_segments{cluster=\"main\"} 1\n"), "\(metrics)")
        try Files.rename(site.scratch.file("victim"), to: victim)
        #expect(try Self.check(site)["wal_continuity"]?.status == "ok")

        try Self.failArchiving(site, of: "insert into t values (2)")
        let stuck = try Self.check(site)
        #expect(stuck["server_settings"]?.status == "critical")
        #expect(stuck["archive_backlog"]?.value == 1)
        #expect(stuck["archiving"]?.message.contains("The last failure was with") == true)

        try site.cluster.stop()
        let dead = try Self.check(site)
        #expect(dead["server"]?.status == "critical")
        #expect(dead["server_settings"]?.status == "unknown")
        // pg_wal can be examined without the server.
        #expect(dead["archive_backlog"]?.value ?? 0 >= 1)
        #expect(dead["rpo"]?.value ?? 0 > 0)
        let nagios = try site.tidemark(["check", "--format", "nagios"])
        #expect(nagios.ending == .exited(2) && nagios.output.hasPrefix("TIDEMARK CRITICAL - "))
    }

    @Test func `WAL that the retention rules don't keep is no gap`() throws {
        let site = try Self.site([:], ["[retention]", "keep_wal = 1s", "keep_full = 2"])
        for number in 1...2 {
            try site.tidemark(["backup", "--no-expire"], expectSuccess: true)
            for part in 1...3 {
                try site.cluster.psql("create table t\(number)\(part) as select 1")
                try site.archiveEverything()
            }
            // Of the time after the last backup only as much counts as there was between the two.
            if number == 1 { try site.cluster.psql("select pg_sleep(1.1)") }
        }
        func segments() throws -> Int {
            try run("/usr/bin/find", [site.repository, "-name", "0*.zst"]).output.split(separator: "\n").count
        }
        let stored = try segments()
        try site.cluster.wait(for: "WAL to be expired, a second after the backup") {
            try site.tidemark(["expire"], expectSuccess: true)
            return try segments() < stored
        }
        let answer = try Self.check(site)
        #expect(answer["wal_continuity"]?.status == "ok", "\(answer["wal_continuity"]?.message ?? "")")
        #expect(answer["recovery_window"]?.status == "ok")
    }

    @Test func `a plugin that cannot do its work says UNKNOWN and exits 3`() throws {
        let site = try Self.site()
        let finished = try site.tidemark(["check", "--format", "nagios", "--config", site.scratch.file("nothing.conf")])
        #expect(finished.ending == .exited(3))
        #expect(finished.output.hasPrefix("TIDEMARK UNKNOWN - could not read configuration file"))
    }

    @Test func `open permissions are found: repository, state and configuration`() throws {
        let site = try Self.site()
        #expect(try Self.check(site, ["--only", "permissions"])["permissions"]?.status == "ok")
        chmod(site.repository, 0o755)
        let open = try Self.check(site, ["--only", "permissions"])
        #expect(open.checks.count == 1 && open["permissions"]?.status == "warning")
        #expect(open["permissions"]?.nextStep?.contains("chmod 0750 \(site.repository)") == true)
        chmod(site.repository, 0o777)
        #expect(try Self.check(site)["permissions"]?.status == "critical")
        chmod(site.repository, 0o750)
        let secret = site.scratch.file("secret")
        try createDurably(secret, bytes: [UInt8(ascii: "k")], mode: 0o600)
        if geteuid() == 0 { _ = try run("/bin/chown", ["postgres:", secret]) }
        let text = """
            \(try Files.readText(site.configuration))
            [notify]
            webhook_url = 'http://127.0.0.1:1/x'
            webhook_secret_file = '\(secret)'

            """
        try replaceDurably(site.configuration, bytes: Array(text.utf8), mode: 0o644)
        for (path, bad, good) in [
            (site.configuration, 0o646, 0o644), (site.scratch.file("state"), 0o757, 0o750), (secret, 0o644, 0o600),
        ] as [(String, mode_t, mode_t)] {
            #expect(try Self.check(site, ["--only", "permissions"])["permissions"]?.status == "ok", "\(path)")
            chmod(path, bad)
            let found = try Self.check(site, ["--only", "permissions"])["permissions"]
            #expect(found?.status == "critical", "\(path)")
            #expect(found?.message.contains(path) == true, "\(found?.message ?? "")")
            chmod(path, good)
        }
    }

    private struct Door: Sendable, CustomTestStringConvertible {
        let testDescription: String
        let open: String
        let close: String
        let says: String
    }

    private static let doors =
        ["main", "main/*/wal", "main/*/backup", "main/*/wal/*/*/*.zst", "main/*/pack/*/000001"].map {
            Door(
                testDescription: $0, open: "chmod o+w $REPOSITORY/\($0)", close: "chmod o-w $REPOSITORY/\($0)",
                says: "Everybody may write to \"")
        } + [
            Door(
                testDescription: "the state directory's", open: "chmod 0777 $STATE/main",
                close: "chmod 0750 $STATE/main",
                says: "in the state directory"),
            Door(
                testDescription: "the configuration's owner", open: "chown nobody $CONFIG", close: "chown root $CONFIG",
                says: "belongs to user \"nobody\""),
            Door(
                testDescription: "the repository's owner", open: "chown nobody $REPOSITORY",
                close: "chown --reference=$REPOSITORY/main $REPOSITORY", says: "belongs to another user"),
            Door(
                testDescription: "the owner of a folder in the repository", open: "chown nobody $REPOSITORY/main/*/wal",
                close: "chown --reference=$REPOSITORY/main $REPOSITORY/main/*/wal", says: "belongs to another user"),
            Door(
                testDescription: "the owner of the state directory", open: "chown nobody $STATE/main",
                close: "chown --reference=$STATE $STATE/main", says: "in the state directory belongs to another user"),
            Door(
                testDescription: "a directory above", open: "chmod 0777 $PARENT", close: "chmod 1777 $PARENT",
                says: "Everybody may write to directory"),
            Door(
                testDescription: "the owner of a directory above", open: "chown nobody $PARENT",
                close: "chown root $PARENT", says: "belongs to another user"),
        ]

    @Test func `open permissions are found further down and further up`() throws {
        try #require(geteuid() == 0, "changing owners needs root")
        let site = try Self.site()
        try site.tidemark(["backup"], expectSuccess: true)
        try site.archiveEverything()
        func change(_ script: String) throws {
            let done = try run(
                "/bin/bash", ["-c", script],
                environment: [
                    "REPOSITORY": site.repository, "STATE": site.scratch.file("state"), "CONFIG": site.configuration,
                    "PARENT": site.scratch.path, "PATH": "/usr/bin:/bin",
                ])
            try #require(done.ending == .exited(0), "\(script): \(done.errors)")
        }
        func verdict() throws -> (status: String?, message: String) {
            let answer = try Self.check(site, ["--only", "permissions"])["permissions"]
            return (answer?.status, answer?.message ?? "")
        }
        #expect(try verdict().status == "ok")
        for door in Self.doors {
            try change(door.open)
            let (status, message) = try verdict()
            #expect(status == "critical" && message.contains(door.says), "\(door): \(message)")
            try change(door.close)
        }
        #expect(try verdict().status == "ok")
    }

    @Test func `a change is notified once for the worse and once for the better`() throws {
        let site = try TellingTests.site("cat >> TOLD", ["archive_failing_after = 1s"])
        try site.cluster.psql("alter system set fsync = on")
        try site.cluster.psql("alter system set archive_timeout = '1h'")
        try site.cluster.psql("select pg_reload_conf()")
        func told() throws -> [String] {
            _ = try site.tidemark(["notify", "--deliver"])
            return try TellingTests.told(site).split(separator: "\n").map(String.init)
        }
        _ = try site.tidemark(["check", "--notify"])
        // No backup, and nothing archived yet: four checks fail.
        let first = try told()
        #expect(first.count == 4 && first.contains { $0.contains("There is no complete backup") }, "\(first)")
        _ = try site.tidemark(["check", "--notify"])
        #expect(try told().count == 4)
        try site.tidemark(["backup"], expectSuccess: true)
        let before = try told().count
        _ = try site.tidemark(["check", "--notify"])
        let recovered = try told()[before...]
        #expect(recovered.count == 4 && recovered.allSatisfy { $0.contains("\"status\":\"success\"") }, "\(recovered)")

        // Archiving fails for longer than the allowed second, and works again.
        try Self.failArchiving(site, of: "create table t as select 1")
        func failures() throws -> Int { try told().count { $0.contains("\"event\":\"archive_failing\"") } }
        try site.cluster.wait(for: "the failing archive to be notified") {
            _ = try site.tidemark(["check", "--notify"])
            return try failures() > 0
        }
        _ = try site.tidemark(["check", "--notify"])
        #expect(try failures() == 1)
        try site.cluster.psql("alter system reset archive_command")
        try site.cluster.psql("select pg_reload_conf()")
        try site.cluster.waitForArchiver()
        _ = try site.tidemark(["check", "--notify"])
        _ = try site.tidemark(["check", "--notify"])
        let archive = try told().filter { $0.contains("\"event\":\"archive_failing\"") }
        #expect(archive.count == 2 && archive[1].contains("archiving works again"), "\(archive)")
    }
}

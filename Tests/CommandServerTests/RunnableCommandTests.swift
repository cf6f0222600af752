import Platform
import Support
import Testing

/// Commands that messages offer can be copied: they name the configuration and the cluster where a call without would
/// fail, or be about another cluster.
@Suite struct RunnableCommandTests {
    /// What PostgreSQL and the manual call is complete as it is, and help speaks of commands in general.
    private static let general = [
        "tidemark-main/CommandLineTool.swift", "Configuration/", "ArchiveCommandLine/ArchiveCommands.swift",
        "DataDirectory/RecoveryRecord.swift", "tidemark/HandOver.swift",
    ]

    private static let completedLater = ["partialsBy command", "applicationName: "]

    @Test func `no message offers a command without the options that it needs`() throws {
        let commands = try tidemark(["help"], expectSuccess: true).output.split(separator: "\n").compactMap { line in
            line.hasPrefix("  ") ? line.split(separator: " ").first.map(String.init) : nil
        }
        try #require(commands.contains("segments"), "\(commands)")
        let offer = try Regex("(runnable\\(\")?tidemark (\(commands.joined(separator: "|")))\\b")
        let root = DocumentationTests.root + "/Sources/"
        let files = try run("/usr/bin/find", [root, "-name", "*.swift"]).output.split(separator: "\n").map(String.init)
        var marked = 0
        for file in files
        where !file.hasSuffix("Command.swift") && !Self.general.contains(where: file.dropFirst(root.count).hasPrefix) {
            for (number, line) in try Files.readText(file).split(separator: "\n", omittingEmptySubsequences: false)
                .enumerated()
            where !Self.completedLater.contains(where: line.contains) && line.contains("tidemark ")
                && !line.drop(while: { $0 == " " }).hasPrefix("//")
            {
                if line.contains("runnable(") { marked += 1 }
                let bare = line.matches(of: offer).filter { $0.output[1].substring == nil }
                #expect(bare.isEmpty, "\(file):\(number + 1): \(line)")
            }
        }
        #expect(marked > 60)
    }

    /// Two clusters, and a configuration elsewhere, under a name that a shell must be told of.
    private final class Place {
        let site: TestSite
        let configuration: String
        let options: String
        private var seen: [String: Finished] = [:]

        init(isAlone: Bool) throws {
            site = try TestSite(initdb: ["--wal-segsize=1"])
            configuration = site.scratch.file("it's 1.conf")
            let other = isAlone ? "" : "[cluster other]\ndata_directory = '/nonexistent/other'\n"
            let text = try Files.readText(site.configuration) + other
            try createDurably(configuration, bytes: Array(text.utf8), mode: 0o644)
            options =
                " --config " + shellQuoted(configuration) + (isAlone ? "" : " --cluster main")
        }

        func say(_ words: [String]) throws -> String {
            let finished = try runAsServerUser(
                Executables.tidemark(), words + ["--config", configuration, "--cluster", "main"], expectSuccess: false)
            let text = finished.output + "\n" + finished.errors
            return words.contains("--json") ? text.replacing("\\\\", with: "\\").replacing("\\\"", with: "\"") : text
        }

        /// Executes what a text offers, from elsewhere.
        /// - Returns: the commands' first words.
        @discardableResult
        func follow(_ text: String) throws -> Set<String> {
            // What the server calls is named by its path.
            let offers = text.replacing("/tidemark ", with: "/").split(separator: "tidemark ").dropFirst().filter {
                $0.first?.isLowercase == true
                    && $0.prefix { $0.isLetter || $0 == "-" }.count > 1 && Self.commands.contains(where: $0.hasPrefix)
            }
            for offer in offers {
                let end = try #require(offer.firstRange(of: options)?.upperBound, "\(offer.prefix(200)): \(text)")
                let command = "tidemark " + offer[..<end]
                #expect(command.components(before: options).count < 200, "\(command)")
                if seen[command] == nil {
                    seen[command] = try runAsServerUser(
                        "/bin/sh",
                        ["-c", "cd /; PATH=\(Executables.directory.get()):$PATH; \(command) </dev/null"],
                        expectSuccess: false)
                }
                let finished = try #require(seen[command])
                // Words of the user's own and consent may be missing; what it is about is not.
                let isUnderstood =
                    finished.ending != .exited(2) && !finished.errors.contains("which cluster")
                    && !finished.errors.contains("could not read configuration file")
                #expect(isUnderstood, "\(command): \(finished)")
            }
            return Set(offers.map { String($0.prefix { $0.isLetter || $0 == "-" }) })
        }

        private static let commands = [
            "archive-push ", "segments ", "verify ", "backup ", "recover ", "init ", "list ", "plan ", "check ",
            "window ",
            "events ", "expire ", "remove ", "clean ", "history ", "show ", "notify ", "drill ", "catalog ",
        ]
    }

    @Test(arguments: [false, true])
    func `every command that is offered can be copied`(isAlone: Bool) throws {
        let place = try Place(isAlone: isAlone)
        let (site, cluster) = (place.site, place.site.cluster)
        var offered: Set<String> = []
        func follow(_ words: [String]) throws { offered.formUnion(try place.follow(place.say(words))) }
        for words in [["plan", "--target", "latest"], ["check"], ["status"], ["init"], ["verify"], ["list"]] {
            try follow(words)
        }
        try cluster.psql("create table t as select 1 n")
        try site.tidemark(["backup"], expectSuccess: true)
        try cluster.psql("drop table t")
        try site.archiveEverything()
        try follow(["events", "--kind", "drop"])
        try follow(["events", "--kind", "drop", "--json"])
        for words in [
            ["plan", "--target", "latest", "--backup", "none"], ["plan", "--target-name", "none"], ["show", "none"],
            ["check"], ["status"], ["du", "--keep-full", "1"], ["segments", "put-aside", "none"],
        ] { try follow(words) }
        // Another server's file under a name that is taken.
        let name = try cluster.psql("select pg_walfile_name(pg_current_wal_lsn())")
        try cluster.psql("create table u as select 1 n")
        try site.archiveEverything()
        let wal = try Files.list(cluster.data + "/pg_wal").filter { $0.count == 24 }.sorted()
        try #require(wal.contains(name), "\(wal)")
        try Files.remove(cluster.data + "/pg_wal/" + name)
        try site.tidemark(["segments", "put-aside", name, "--yes", "--certain"], expectSuccess: true)
        for words in [["check"], ["segments"], ["plan", "--target", "latest"], ["window"], ["status"]] {
            try follow(words)
        }
        try site.tidemark(["segments", "put-back", name, "--yes"])
        // A backup that is damaged, and WAL.
        let found =
            try run("/usr/bin/find", [site.repository, "-name", name + ".zst"]).output.split(separator: "\n").first.map(
                String.init) ?? ""
        let pack =
            try run("/usr/bin/find", [site.repository, "-path", "*/pack/*/000001"]).output.split(separator: "\n").first
            .map(String.init) ?? ""
        for path in [found, pack] where !path.isEmpty {
            try runAsServerUser("/bin/chmod", ["u+w", path], expectSuccess: true)
            try flipByte(of: path, at: FileStatus(of: path).size / 2)
        }
        for words in [
            ["archive-get", name, site.scratch.file("got")], ["verify"], ["check"], ["status"], ["list"],
            ["plan", "--target", "latest"], ["check", "--format", "nagios"], ["check", "--json"],
        ] { try follow(words) }
        let copy = site.scratch.file("copy")
        try follow([
            "recover", "--target", "immediate", "--data-directory", copy, "--yes", "--set", "port=x", "--start",
        ])
        try follow(["recover", "--target", "immediate", "--data-directory", copy, "--yes"])
        #expect(
            offered.isSuperset(of: [
                "backup", "init", "list", "window", "events", "recover", "verify", "check", "segments", "expire",
                "remove",
            ]), "\(offered.sorted())")
    }
}

/// Waits a minute for the other process, beside the other tests.
@Suite struct HeldOutboxTests {
    @Test func `what holds up a delivery is shown as it is offered`() throws {
        let scratch = try Scratch()
        let configuration = scratch.file("tidemark.conf")
        let lines = [
            "repository = '\(scratch.file("repository"))'", "state_directory = '\(scratch.file("state"))'",
            "[cluster main]", "data_directory = '\(scratch.file("data"))'", "[notify]", "events = all",
            "command = true",
        ]
        try createDurably(configuration, bytes: Array((lines.joined(separator: "\n") + "\n").utf8), mode: 0o644)
        try runAsServerUser("/bin/mkdir", ["-p", scratch.file("data"), scratch.file("state/main/notify")])
        let held = [scratch.file("state/main/notify/queue.lock"), try Executables.tidemark()]
        let environment = ["TIDEMARK_CONFIG": configuration]
        let refused = try runAsServerUser(
            "/usr/bin/flock", held + ["notify", "--deliver"], environment: environment, expectSuccess: false)
        #expect(refused.ending == .exited(1) && refused.errors.contains("another process holds the lock"), "\(refused)")
        let offered = try #require(refused.errors.firstMatch(of: /"tidemark (notify[^"]*)"/)?.output.1, "\(refused)")
        let shown = try runAsServerUser("/usr/bin/flock", held + offered.split(separator: " ").map(String.init))
        #expect(shown.output.contains("0 messages are waiting for delivery."), "\(shown)")
    }
}

extension String {
    fileprivate func components(before end: String) -> Substring {
        firstRange(of: end).map { self[..<$0.lowerBound] } ?? self[...]
    }
}

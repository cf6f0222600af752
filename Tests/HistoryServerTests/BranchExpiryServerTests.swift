import Platform
import Support
import Testing

/// What `expire` keeps for a server of which a copy archives as well.
@Suite struct BranchExpiryServerTests {
    private func fill(_ server: Server, segments: Int) throws {
        for _ in 0..<segments { try server.psql("insert into t values (2)", "select pg_switch_wal()") }
    }

    private func labels(_ server: Server) throws -> [String] {
        let text = try server.tidemark(["list", "--json"]).output
        return text.split(separator: "\"label\"").dropFirst().map { String($0.split(separator: "\"")[1]) }
    }

    /// The first segment that a backup needs.
    private func first(_ label: String, _ server: Server) throws -> String {
        let shown = try server.tidemark(["show", label, "--json"], expectSuccess: true).output
        return String(try #require(shown.firstMatch(of: /"first_wal" : "([0-9A-F]{24})"/)).1)
    }

    @Test(arguments: TestServer.ends)
    func `a copy that was promoted costs the original no backup, and holds no WAL when it is put aside`(
        _ version: TestServer
    ) throws {
        let group = try ServerGroup(version)
        try group.accounted {
            let a = try group.addBackedUpPrimary()
            let own = try #require(labels(a).first)
            group.step("a copy is promoted and takes a backup; a goes on")
            let b = try group.addStandby("b", of: a)
            try group.catchUp(b, with: a)
            try b.promote()
            try fill(b, segments: 2)
            try group.drain(b)
            try fill(a, segments: 4)
            try group.drain(a)
            try b.tidemark(["backup", "--no-expire"], expectSuccess: true)
            let stray = try #require(labels(b).first { $0 != own })
            let before = try group.archived()
            let expired = try b.tidemark(["expire", "--keep-full", "1"], expectSuccess: true)
            #expect(expired.output.contains("backup \(own) kept: newest good backup of timeline 1"), "\(expired)")
            #expect(try Set(labels(a)) == [own, stray])
            let needed = try first(own, a)
            #expect(try group.archived().filter { $0.count == 24 } == before.filter { $0.count == 24 && $0 >= needed })
            for timeline in ["1", "2"] {
                try a.tidemark(["plan", "--target", "latest", "--target-timeline", timeline], expectSuccess: true)
            }
            group.step("the copy's backup is no substitute")
            let removed = try a.tidemark(["remove", own, "--yes"])
            #expect(
                removed.ending == .exited(1)
                    && removed.errors.contains("No other good backup is on the history of timeline 1."), "\(removed)")
            group.step("the copy is put aside, as check says; a goes on")
            try b.stop()
            let command = "tidemark segments put-aside 00000002.history"
            let said = try a.tidemark(["check", "--only", "timelines"])
            #expect(said.output.contains(command), "\(said)")
            try a.tidemark(["segments", "put-aside", "00000002.history", "--yes"], expectSuccess: true)
            try fill(a, segments: 2)
            try a.tidemark(["backup", "--no-expire"], expectSuccess: true)
            let newest = try #require(Set(labels(a)).subtracting([own, stray]).first)
            try fill(a, segments: 2)
            try group.drain(a)
            let after = try a.tidemark(["expire", "--keep-full", "1"], expectSuccess: true)
            #expect(after.output.contains("backup \(own) removed"), "\(after)")
            #expect(after.output.contains("backup \(stray) kept: "), "\(after)")
            let segments = try group.archived().filter { $0.count == 24 }
            #expect(try segments.first == first(newest, a), "\(segments), \(after)")
            for arguments in [["verify", "--wal"], ["plan", "--target", "latest"], ["segments"]] {
                try a.tidemark(arguments, expectSuccess: true)
            }
        }
    }

    struct Lack: Sendable, CustomTestStringConvertible {
        let version: TestServer
        /// The archive lost the history file; else nothing of the timeline is archived yet.
        let isLost: Bool
        /// The cluster's data directory is on another machine.
        var isElsewhere = false
        var rules = ["--keep-full", "1"]
        var testDescription: String {
            "\(version), \(isLost ? "lost" : "not archived yet")\(isElsewhere ? ", elsewhere" : ""), \(rules)"
        }
    }

    static let lacks = [
        Lack(version: .v15, isLost: true), Lack(version: .v15, isLost: false),
        Lack(version: .v15, isLost: true, isElsewhere: true, rules: ["--recovery-window", "1s"]),
        Lack(version: .v15, isLost: true, isElsewhere: true), Lack(version: .v18, isLost: false),
    ]

    /// A group whose servers archive nothing while a file `block` is there.
    private func blockableGroup(_ version: TestServer) throws -> ServerGroup {
        let push = "\(try Executables.tidemark()) archive-push --config DIRECTORY/NAME.conf %p"
        return try ServerGroup(version, settings: ["archive_command": "'test ! -e DIRECTORY/block && \(push)'"])
    }

    /// A server whose recovery in place undid the past of its newest backup.
    ///
    /// - Returns: the label of the older backup, which alone leads to where it is now.
    private func goBack(_ group: ServerGroup, blocked: Bool) throws -> (Server, own: String) {
        let a = try group.addPrimary()
        try a.psql("create table t (i int)")
        try a.tidemark(["backup", "--no-expire"], expectSuccess: true)
        let own = try #require(labels(a).first)
        try a.psql("insert into t values (1)", "select pg_create_restore_point('r1')", "select pg_switch_wal()")
        try a.tidemark(["backup", "--no-expire"], expectSuccess: true)
        try fill(a, segments: 1)
        try group.drain(a)
        try a.stop()
        if blocked { try a.shell("touch \(group.directory)/block") }
        try a.tidemark(
            ["recover", "--target-name", "r1", "--start", "--yes", "--set", "config_file=\(a.serverConfiguration)"],
            expectSuccess: true)
        try fill(a, segments: 2)
        return (a, own)
    }

    /// Nothing of the timeline that the server is on is archived yet.
    @Test(arguments: TestServer.ends)
    func `every command counts the timeline that the server is on`(_ version: TestServer) throws {
        let group = try blockableGroup(version)
        try group.accounted {
            let (a, own) = try goBack(group, blocked: true)
            let configuration = group.directory + "/rules.conf"
            let text = try Files.readText(a.configuration) + "[retention]\nkeep_full = 1\n"
            try replaceDurably(configuration, bytes: Array(text.utf8), mode: 0o644)
            func tell(_ words: [String]) throws -> Finished { try a.tidemark(words + ["--config", configuration]) }
            let dry = try tell(["expire", "--dry-run"])
            #expect(dry.output.contains("backup \(own) kept: "), "\(dry)")
            func number(_ key: String, _ words: [String]) throws -> String {
                let told = try tell(words + ["--json"])
                let found = told.output.split(separator: "\n").first { $0.contains("\"\(key)\"") }
                return try #require(found?.split(separator: ":").last.map(String.init), "\(told)")
                    .filter(\.isNumber)
            }
            #expect(try number("would_free", ["du"]) == number("freed", ["expire", "--dry-run"]))
            let removed = try tell(["remove", own, "--yes"])
            #expect(
                removed.ending == .exited(1)
                    && removed.errors.contains("No other good backup is on the history of timeline 2."), "\(removed)")
            let expired = try tell(["expire"])
            #expect(expired.ending == .exited(0) && expired.output.contains("backup \(own) kept: "), "\(expired)")
            for words in [["segments"], ["window"]] { #expect(try tell(words).ending == .exited(0)) }
            try a.shell("rm \(group.directory)/block")
            try group.drain(a)
            #expect(try tell(["plan", "--target", "latest"]).output.contains(own))
        }
    }

    @Test(arguments: lacks)
    func `what may lead to the living timeline stays, whatever the archive lacks of it`(_ lack: Lack) throws {
        let group = try blockableGroup(lack.version)
        try group.accounted {
            let (a, own) = try goBack(group, blocked: !lack.isLost)
            let (history, kept) = ("\(group.wal)/00000002.history.zst", group.directory + "/kept")
            if lack.isLost {
                try group.drain(a)
                try runAsServerUser("/bin/mv", [history, kept])
            }
            let configuration = group.directory + "/elsewhere.conf"
            let text = try Files.readText(a.configuration)
            try replaceDurably(
                configuration,
                bytes: Array((lack.isElsewhere ? text.replacing(a.data, with: a.data + ".none") : text).utf8),
                mode: 0o644)
            let expired = try a.tidemark(["expire", "--config", configuration] + lack.rules)
            #expect(expired.ending == .exited(0) && expired.output.contains("backup \(own) kept: "), "\(expired)")
            if lack.isElsewhere {
                #expect(expired.errors.contains("whatever may lead to timeline 2 is kept"), "\(expired)")
                let removed = try a.tidemark(["remove", own, "--yes"])
                #expect(removed.ending == .exited(1), "\(removed)")
            }
            if lack.isLost {
                try a.tidemark(["archive-push", a.data + "/pg_wal/00000002.history"], expectSuccess: true)
            } else {
                try a.shell("rm \(group.directory)/block")
                try group.drain(a)
            }
            let plan = try a.tidemark(["plan", "--target", "latest"])
            #expect(plan.ending == .exited(0) && plan.output.contains(own), "\(plan)")
            let copy = RecoveredCopy(group)
            try copy.recover(a, ["--target", "latest"])
            #expect(try copy.psql("select string_agg(i::text, ' ' order by i) from t") == "1 2 2")
        }
    }
}

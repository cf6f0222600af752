import Platform
import Support
import Testing

/// WAL behind a backup that can't be followed, whatever the reason: every command that speaks of gaps names the same
/// segment, and ends with the same status.
@Suite(.serialized) struct BrokenWALServerTests {
    /// What has happened to the object; `$0` is its path.
    private struct Harm: Sendable, CustomTestStringConvertible {
        let testDescription: String
        let script: String

        static let all = [
            Harm(testDescription: "it is missing", script: "mv $0 $0.away"),
            Harm(
                testDescription: "its head is damaged",
                script: "cp -p $0 $0.away; printf '\\245\\245' | dd of=$0 bs=1 seek=60 conv=notrunc status=none"),
            Harm(
                testDescription: "a verification found its body damaged",
                script: """
                    cp -p $0 $0.away
                    printf '\\245\\245' | dd of=$0 bs=1 seek=$(($(stat -c %s $0) / 2)) conv=notrunc status=none
                    """),
            Harm(testDescription: "nobody may read it", script: "cp -p $0 $0.away; chmod 000 $0"),
            Harm(testDescription: "it is a link that leads nowhere", script: "mv $0 $0.away; ln -s $0.nowhere $0"),
            Harm(testDescription: "it is empty", script: "cp -p $0 $0.away; : >$0"),
            Harm(testDescription: "it is the next one", script: "cp -p $0 $0.away; cp $1 $0"),
        ]
    }

    /// With the exit status that each has then.
    private static let commands: [([String], Int32)] = [
        (["verify", "--wal"], 3), (["verify", "--wal", "--json"], 3), (["verify"], 3),
        (["segments"], 3), (["segments", "--json"], 3), (["window"], 3), (["window", "--json"], 3),
        (["list"], 3), (["list", "--json"], 3), (["events"], 3), (["events", "--json"], 3),
        (["around", "--target-time", "2100-01-01 00:00 UTC"], 3), (["status"], 3),
        (["check", "--only", "wal_continuity"], 3), (["check", "--only", "recovery_window"], 3),
        (["check", "--only", "rpo"], 3), (["plan", "--target", "latest", "--data-directory", "/tmp/elsewhere"], 4),
    ]

    private static let site = TestSite.shared {
        let site = try TestSite(initdb: ["--wal-segsize=1"])
        try site.cluster.psql("create table t as select 1 n")
        for index in 0..<5 {
            if index == 1 { try site.tidemark(["backup"], expectSuccess: true) }
            try site.cluster.psql("insert into t select generate_series(1, 6000)")
            try site.archiveEverything()
        }
        return site
    }

    @Test(arguments: Harm.all) private func `every command names the segment, and ends with the same status`(
        _ harm: Harm
    ) throws {
        let site = try Self.site.get()
        let objects = try run("/usr/bin/find", [site.repository, "-name", "0000000100000000????????.zst"]).output
            .split(separator: "\n").map(String.init).sorted()
        let path = objects[objects.count - 3]
        let name = String(Files.name(path).dropLast(4))
        // The servers of the tests run without fsync, which status reports.
        for (command, _) in Self.commands where command != ["status"] {
            let told = try site.tidemark(command)
            #expect(told.ending == .exited(0), "\(command): \(told)")
        }
        try runAsServerUser("/bin/bash", ["-ec", harm.script, path, objects[objects.count - 2]])
        for (command, status) in Self.commands {
            let told = try site.tidemark(command)
            #expect(told.ending == .exited(status), "\(command): \(told)")
            let words = (told.output + told.errors).replacing("\\\"", with: "\"")
            #expect(words.contains(name), "\(command): \(words)")
            #expect(!words.contains("There are no gaps"), "\(command): \(words)")
        }
        try undo(site, path)
    }

    /// What the only backup needs, up to the newest segment that is lost.
    enum LostFirst: CaseIterable, Sendable {
        case firstSegment, ownSegments, allButNewest
    }

    @Test(arguments: LostFirst.allCases) func `a gap before the archive's first segment is told by every command`(
        _ loss: LostFirst
    ) throws {
        let site = try Self.site.get()
        let shown = try site.tidemark(["list", "--json"], expectSuccess: true).output
        func value(_ key: String) throws -> String {
            try String(#require(shown.firstMatch(of: try Regex("\"\(key)\" ?: ?\"([0-9A-F]{24})\""))?[1].substring))
        }
        let (first, last) = (try value("first_wal"), try value("last_wal"))
        let objects = try run("/usr/bin/find", [site.repository, "-name", "0000000100000000????????.zst"]).output
            .split(separator: "\n").map(String.init).sorted()
        let end =
            switch loss {
            case .firstSegment: first
            case .ownSegments: last
            case .allButNewest: String(Files.name(objects[objects.count - 2]).dropLast(4))
            }
        let lost = objects.filter { Files.name($0).dropLast(4) <= end }
        try #require(lost.contains { Files.name($0).hasPrefix(first) } && lost.count < objects.count, "\(objects)")
        try runAsServerUser("/bin/bash", ["-ec", "for one; do mv $one $one.away; done", "bash"] + lost)
        defer { _ = try? runAsServerUser("/bin/bash", ["-ec", "for one; do mv $one.away $one; done", "bash"] + lost) }
        for (command, status) in Self.commands {
            let told = try site.tidemark(command)
            #expect(told.ending == .exited(status), "\(command): \(told)")
            let words = (told.output + told.errors).replacing("\\\"", with: "\"")
            #expect(words.contains(first), "\(command) doesn't name \(first): \(words)")
            #expect(command.contains("plan") || words.contains(end), "\(command) doesn't name \(end): \(words)")
            #expect(!words.contains("There are no gaps"), "\(command): \(words)")
        }
    }

    private func undo(_ site: TestSite, _ path: String) throws {
        let undo = "rm -f $0; mv $0.away $0; chmod 0640 $0"
        try runAsServerUser("/bin/bash", ["-ec", undo, path])
        try site.tidemark(["verify"], expectSuccess: true)
        for (command, _) in Self.commands where command != ["status"] {
            let told = try site.tidemark(command)
            #expect(told.ending == .exited(0), "\(command): \(told)")
        }
    }
}

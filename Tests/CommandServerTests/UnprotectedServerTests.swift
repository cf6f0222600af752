import Platform
import Support
import Testing

/// What protects a repository's other documents is changed or missing: a person hears of it from every command that
/// uses them, and not only from `verify`.
@Suite(.serialized) struct UnprotectedServerTests {
    private static let site = TestSite.sharedWithBackup()

    struct Loss: Sendable, CustomTestStringConvertible {
        let testDescription: String
        /// Run in the incarnation's folder.
        let script: String
        let says: String

        static let all = [
            Loss(
                testDescription: "a flipped bit in incarnation.json",
                script: "sed -i 's/created/creatad/' incarnation.json",
                says: "incarnation.json\" in repository"),
            Loss(
                testDescription: "an empty incarnation.json", script: ": >incarnation.json",
                says: "incarnation.json\" in repository"),
            Loss(
                testDescription: "another document in its place", script: "cp backup/*/backup.json incarnation.json",
                says: "incarnation.json\" in repository"),
            Loss(
                testDescription: "no backup.json.xxh128", script: "rm backup/*/backup.json.xxh128",
                says: "backup.json.xxh128\" is missing"),
            Loss(
                testDescription: "an empty backup.json.xxh128", script: "f=$(ls backup/*/*.xxh128); : >$f",
                says: "backup.json.xxh128\" is damaged"),
            Loss(
                testDescription: "half a backup.json.xxh128",
                script: "f=$(ls backup/*/*.xxh128); head -c 20 $f >.x; mv .x $f",
                says: "backup.json.xxh128\" is damaged"),
        ]
    }

    @Test(arguments: Loss.all) func `what no longer protects the rest is told by every command that uses it`(
        _ loss: Loss
    )
        throws
    {
        let site = try Self.site.get()
        let incarnation = try #require(Files.list(site.repository + "/main").first { $0.hasPrefix("15-") })
        let folder = "\(site.repository)/main/\(incarnation)"
        try runAsServerUser(
            "/bin/sh", ["-c", "rm -rf $1.kept; cp -a $1 $1.kept; cd $1; chmod -R u+w .; \(loss.script)", "sh", folder])
        defer { _ = try? runAsServerUser("/bin/sh", ["-c", "rm -rf $1; mv $1.kept $1", "sh", folder]) }
        let label = try #require(site.backupLabels().first)
        let beside = site.scratch.file("beside")
        defer { _ = try? Files.removeTree(beside) }
        for (words, statuses) in [
            (["list"], loss.says.contains("incarnation") ? [3] : [0]), (["check"], [1, 3]), (["status"], [3]),
            (["plan", "--target", "latest"], [0]), (["show", label], [0]), (["window"], [0]),
            (["expire", "--dry-run", "--keep-full", "1"], [0]), (["verify"], [3]), (["verify", label], [3]),
            (["recover", "--target", "immediate", "--data-directory", beside, "--yes"], [0]),
        ] as [([String], [Int32])] {
            let finished = try site.tidemark(words)
            #expect(statuses.contains { finished.ending == .exited($0) }, "\(words): \(finished)")
            #expect((finished.errors + finished.output).contains(loss.says), "\(words): \(finished)")
        }
    }
}

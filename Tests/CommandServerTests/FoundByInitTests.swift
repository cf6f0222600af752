import Platform
import Support
import Testing

/// What `init` finds in a cluster's place in the repository, and what others make of a place without its document.
@Suite(.serialized) struct FoundByInitTests {
    /// With a backup, WAL, something put aside by hand, and a copy of the whole repository.
    private static let site = TestSite.shared {
        let site = try TestSite()
        try site.tidemark(["backup"], expectSuccess: true)
        try runAsServerUser(
            "/bin/sh",
            [
                "-c",
                """
                cd "$1"/main/*/ && mkdir -p aside/20260101T000000.000000Z-x/wal &&
                cp wal/*/*/*.zst aside/20260101T000000.000000Z-x/wal/ && cp -a "$1" "$1.whole"
                """, "sh", site.repository,
            ])
        return site
    }

    enum Answer: Equatable {
        case created, present
        case refused(String, rebuilds: Bool)
    }

    struct Row: Sendable, CustomTestStringConvertible {
        let testDescription: String
        /// Run in the incarnation's folder.
        let script: String
        let answer: Answer

        init(_ name: String, _ script: String, _ answer: Answer) {
            (testDescription, self.script, self.answer) = (name, script, answer)
        }

        private static let lost = Answer.refused("incarnation.json\" is missing in repository", rebuilds: true)
        private static let damaged = Answer.refused("incarnation.json\" in repository", rebuilds: true)
        /// All objects but those of some folders.
        private static func only(_ folder: String) -> String {
            "rm incarnation.json; mv \(folder) .x; rm -r ./[a-z]*; mv .x \(folder)"
        }
        private static let nothing = "rm -r ./[a-z]*"

        static let all = [
            Row("nothing", "rm -r \"$PWD\"", .created),
            Row("an empty folder", nothing, .created),
            Row("what a killed init leaves", nothing + "; echo '{' > .incarnation.json.host.1.2", .created),
            Row("folders without objects", nothing + "; mkdir -p wal/00000001/0000000100000000 backup job", .created),
            Row("a mount point's and somebody's files", nothing + "; mkdir lost+found; echo > README", .created),
            Row("all", ":", .present),
            Row("all but the document", "rm incarnation.json", lost),
            Row("only WAL", only("wal"), lost),
            Row("only backups", only("backup"), lost),
            Row("only packs", only("pack"), lost),
            Row("only what was put aside", only("aside"), lost),
            Row("only the records of jobs", only("job"), lost),
            Row("an empty document", ": > incarnation.json", damaged),
            Row("half of the document", "head -c 100 incarnation.json > .x; mv .x incarnation.json", damaged),
            Row("a flipped byte", "sed -i 's/created/creatad/' incarnation.json", damaged),
            Row("something else", "echo hello > incarnation.json", damaged),
            Row("another document", "cp backup/*/backup.json incarnation.json", damaged),
            Row(
                "a link that leads nowhere", "rm incarnation.json; ln -s /nowhere/x incarnation.json",
                .refused("cannot be reached", rebuilds: false)),
            Row(
                "the document of before format 1 was final", "echo '{ \"major\" : 15 }' > incarnation.json",
                .refused("was written before format 1 was final", rebuilds: false)),
        ]
    }

    /// The repository as it was, and then changed.
    private func prepare(_ site: TestSite, _ script: String) throws {
        try runAsServerUser(
            "/bin/sh",
            [
                "-c", "set -e; rm -rf \"$1\"; cp -a \"$1.whole\" \"$1\"; cd \"$1\"/main/*/; eval \"$2\"", "sh",
                site.repository, script,
            ])
    }

    /// All objects but the records of jobs, with their times.
    private func listing(_ site: TestSite) throws -> String {
        try runAsServerUser(
            "/bin/sh",
            ["-c", "cd \"$1\"; find . -path '*/job/*' -o -type f -printf '%p %s %T@\\n' | sort", "sh", site.repository]
        ).output
    }

    @Test(arguments: Row.all) func `init makes what isn't there, and guesses nothing about what is`(_ row: Row) throws {
        let site = try Self.site.get()
        try prepare(site, row.script)
        let before = try listing(site)
        let first = try site.tidemark(["init"])
        switch row.answer {
        case .created: #expect(first.ending == .exited(0) && first.output.contains("Created main/"), "\(first)")
        case .present: #expect(first.ending == .exited(0) && first.output.contains("is already in"), "\(first)")
        case .refused(let reason, let rebuilds):
            #expect(first.ending == .exited(1) && first.errors.contains(reason), "\(first)")
            #expect(first.errors.contains("\"tidemark init --rebuild ") == rebuilds, "\(first)")
            #expect(try listing(site) == before)
            let again = try site.tidemark(["init", "--rebuild"])
            guard rebuilds else {
                #expect(again.ending == .exited(1) && again.errors.contains(reason), "\(again)")
                #expect(try listing(site) == before)
                return
            }
            #expect(again.ending == .exited(0) && again.output.contains("Wrote incarnation.json of main/"), "\(again)")
            // What was there is there still, a damaged document included.
            let kept = before.split(separator: "\n").filter { !$0.contains("/incarnation.json") }
            let now = try listing(site)
            #expect(kept.allSatisfy { now.contains($0) })
            #expect(now.contains("-damaged-incarnation.json/incarnation.json") == before.contains("/incarnation.json"))
            if row.script == "rm incarnation.json" || before.contains("/incarnation.json") {
                try site.tidemark(["verify"], expectSuccess: true)
                let label = try #require(before.firstMatch(of: /backup\/([^\/]*-full)\//)?.1)
                #expect(try site.backupLabels() == [String(label)])
            }
        }
        let once = try site.tidemark(["init", "--rebuild"])
        #expect(once.ending == .exited(0) && once.output.contains("is already in"), "\(once)")
    }

    @Test func `a place in which a later version has written is not rebuilt`() throws {
        let site = try Self.site.get()
        try prepare(site, "rm incarnation.json")
        let path = try runAsServerUser(
            "/bin/sh", ["-c", "echo \"$1\"/main/*/backup/*/backup.json", "sh", site.repository]
        )
        .output.split(separator: "\n")[0]
        let newer = document(try Files.read(String(path)), ofFormat: 2, version: "9.1")
        try replaceDurably(String(path), bytes: newer, mode: 0o644)
        let refused = try site.tidemark(["init", "--rebuild"])
        #expect(refused.ending == .exited(1) && refused.errors.contains("tidemark 9.1"), "\(refused)")
        #expect(try !listing(site).contains("incarnation.json"))
    }

    @Test func `no command uses an incarnation that has lost its incarnation.json, or takes another one for it`() throws
    {
        let site = try Self.site.get()
        let former =
            "cp -a \"$PWD\" ../14-1; cd ../14-1; rm -r ./[a-h]* ./[j-z]*; sed -i 's/\"system_identifier\" : \"[0-9]*/\"system_identifier\" : \"1/' incarnation.json"
        for script in ["rm incarnation.json", "(\(former)); rm incarnation.json"] {
            try prepare(site, script)
            let wal = site.cluster.data + "/pg_wal/000000010000000000000001"
            let before = try listing(site)
            for (words, status) in [
                (["list"], 1), (["plan", "--target", "latest"], 1), (["window"], 1), (["segments"], 1), (["events"], 1),
                (["backup"], 1), (["verify"], 1), (["expire"], 1), (["history"], 1), (["du"], 1), (["check"], 3),
                (["recover", "--target", "latest", "--data-directory", site.scratch.file("beside")], 1),
                (["archive-push", wal], 1),
                (["archive-get", "000000010000000000000001", site.scratch.file("got")], 200),
            ] as [([String], Int32)] {
                let finished = try site.tidemark(words)
                let said = finished.errors + finished.output
                #expect(finished.ending == .exited(status), "\(words): \(finished)")
                #expect(said.contains("incarnation.json\" is missing in repository"), "\(words): \(finished)")
                #expect(!said.contains("\"tidemark init\"."), "\(words): \(finished)")
            }
            #expect(try listing(site) == before)
        }
    }

    @Test func `a former incarnation that has lost its incarnation.json is told of, and stops nobody`() throws {
        let site = try Self.site.get()
        try prepare(site, "mkdir -p ../14-1/wal/00000001; cp -a backup ../14-1/; mkdir -p ../13-2/wal/00000001")
        for (words, status) in [
            (["list"], 3), (["verify", "--backups"], 3), (["plan", "--target", "latest"], 0), (["window"], 0),
            (["expire", "--dry-run", "--keep-full", "1"], 0),
        ] as [([String], Int32)] {
            let finished = try site.tidemark(words)
            #expect(finished.ending == .exited(status), "\(words): \(finished)")
            let isTold = finished.errors.contains("\"main/14-1/incarnation.json\" is missing in repository")
            #expect(isTold == (status == 3), "\(words): \(finished)")
            // One without objects is none.
            #expect(!finished.errors.contains("13-2"), "\(words): \(finished)")
        }
    }
}

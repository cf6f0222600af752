import Glibc
import Platform
import Support
import Testing

/// The files into which options write a result, in the place of an older one.
@Suite(.serialized) struct ResultFileTests {
    private static let site = TestSite.shared {
        let site = try TestSite()
        let other = site.scratch.file("other")
        try runAsServerUser(
            "/bin/sh",
            [
                "-c",
                """
                set -e; cd "$1"; mkdir space other other/global site; echo 15 > other/PG_VERSION
                cp "$2"/global/pg_control other/global; mkfifo fifo; mkdir folder
                ln -s "$2"/postgresql.conf to-server; ln -s "$2"/nothing to-new; ln -s /dev/null to-device
                ln -s site/page to-page; echo old > site/page; echo theirs > site/theirs
                """, "sh", site.scratch.path, site.cluster.data,
            ])
        try site.cluster.psql("create tablespace space location '\(site.scratch.file("space"))'")
        #expect(try Files.exists(other))
        return site
    }

    struct Row: Sendable, CustomTestStringConvertible {
        let testDescription: String
        let path: @Sendable (TestSite) -> String
        /// Nil where the result goes there.
        var says: String?

        static let all = [
            Row(
                testDescription: "a new file of the data directory", path: { $0.cluster.data + "/x" },
                says: "lies in data directory"),
            Row(
                testDescription: "the data directory's PG_VERSION", path: { $0.cluster.data + "/PG_VERSION" },
                says: "lies in data directory"),
            Row(
                testDescription: "the server's configuration", path: { $0.cluster.data + "/postgresql.conf" },
                says: "lies in data directory"),
            Row(
                testDescription: "a link to it", path: { $0.scratch.file("to-server") }, says: "lies in data directory"),
            Row(
                testDescription: "a link to a new file there", path: { $0.scratch.file("to-new") },
                says: "lies in data directory"),
            Row(
                testDescription: "by way of ..", path: { $0.cluster.data + "/base/../x" },
                says: "lies in data directory"),
            Row(testDescription: "a tablespace", path: { $0.scratch.file("space/x") }, says: "lies in tablespace"),
            Row(
                testDescription: "another server's directory", path: { $0.scratch.file("other/global/x") },
                says: "lies in data directory"),
            Row(testDescription: "the repository", path: { $0.repository + "/x" }, says: "lies in repository"),
            Row(
                testDescription: "the state directory", path: { $0.scratch.file("state/main/x") },
                says: "lies in state directory"),
            Row(
                testDescription: "tidemark's configuration", path: { $0.configuration },
                says: "It is tidemark's configuration."),
            Row(testDescription: "a device", path: { _ in "/dev/null" }, says: "It is not an ordinary file."),
            Row(
                testDescription: "a link to a device", path: { $0.scratch.file("to-device") },
                says: "It is not an ordinary file."),
            Row(testDescription: "a FIFO", path: { $0.scratch.file("fifo") }, says: "It is not an ordinary file."),
            Row(testDescription: "a directory", path: { $0.scratch.file("folder") }, says: "It is a directory."),
            Row(
                testDescription: "a directory that isn't there", path: { $0.scratch.file("nowhere/x") },
                says: "No such file or directory"),
            Row(testDescription: "nothing", path: { _ in "" }, says: "is empty"),
            Row(testDescription: "a new file", path: { $0.scratch.file("site/new") }),
            Row(testDescription: "the one of the last time", path: { $0.scratch.file("site/new") }),
            Row(testDescription: "somebody's file", path: { $0.scratch.file("site/theirs") }),
            Row(testDescription: "a link to a file", path: { $0.scratch.file("to-page") }),
        ]
    }

    /// What a result must not change: names, kinds, inodes and times of everything but the state of tidemark itself.
    private func listing(_ site: TestSite) throws -> String {
        try runAsServerUser(
            "/bin/sh",
            [
                "-c",
                "find \"$1\" \"$2\"/PG_VERSION \"$2\"/*.conf \"$2\"/x /dev/null -path '*/state' -prune -o -printf '%p %y %i %C@\\n' 2>&1 | sort",
                "sh", site.scratch.path, site.cluster.data,
            ], expectSuccess: false
        ).output
    }

    @Test(arguments: Row.all, [["report", "--html"], ["check", "--textfile"]])
    func `a result takes no file's place that is a server's, the repository's or no file`(
        _ row: Row, _ words: [String]
    ) throws {
        let site = try Self.site.get()
        let path = row.path(site)
        // The first look at the server leaves what is learned from it.
        let before = try listing(site)
        let finished = try site.tidemark(words + [path])
        guard let says = row.says else {
            #expect([.exited(0), .exited(3)].contains(finished.ending), "\(finished)")
            let text = try Files.readText(path)
            #expect(text.contains(words[0] == "report" ? "<title>" : "# HELP tidemark"), "\(text.prefix(200))")
            #expect(try Files.readText(site.scratch.file("site/page")) != "old\n" || !path.hasSuffix("to-page"))
            if path.hasSuffix("to-page") { #expect(try FileStatus(ofLinkItself: path)?.kind == .symbolicLink) }
            return
        }
        #expect(finished.ending == .exited(path.isEmpty ? 2 : 1), "\(finished)")
        #expect(finished.errors.contains(says), "\(finished)")
        #expect(try listing(site) == before)
    }

    @Test func `nor does a recovered server's log`() throws {
        let site = try Self.site.get()
        for (path, says) in [
            (site.cluster.data + "/PG_VERSION", "lies in data directory"),
            (site.repository + "/log", "lies in repository"),
            (site.scratch.file("state/main/log"), "lies in state directory"),
            (site.scratch.file("other/log"), "lies in data directory"),
            (site.scratch.file("to-server"), "lies in data directory"),
        ] {
            let before = try listing(site)
            let refused = try site.tidemark([
                "recover", "--target", "latest", "--start", "--yes", "--data-directory", site.scratch.file("new"),
                "--log-file", path,
            ])
            #expect(refused.ending == .exited(1) && refused.errors.contains(says), "\(path): \(refused)")
            #expect(try listing(site) == before)
        }
    }
}

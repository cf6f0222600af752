import FoundationEssentials
import Platform
import Support
import Testing

struct InstallTests {
    @Test func `make install puts programs, manual, samples and units in place, and the installed command runs`() throws
    {
        let scratch = try Scratch()
        let bin = try Executables.directory.get()
        let finished = try run(
            "/usr/bin/make",
            [
                "-s", "-C", DocumentationTests.root, "install", "DESTDIR=\(scratch.path)", "PREFIX=/usr",
                "RELEASE=\(bin)",
            ])
        #expect(finished.ending == .exited(0), "\(finished.errors)")
        for path in [
            "usr/bin/tidemark", "usr/bin/tidemark-main", "usr/share/man/man1/tidemark.1",
            "usr/share/man/man1/tidemark-recover.1",
            "usr/share/man/man1/tidemark-archive-push.1", "usr/share/doc/tidemark/postgresql.conf.sample",
            "usr/share/doc/tidemark/README.md", "etc/tidemark/tidemark.conf.sample",
            "usr/lib/systemd/system/tidemark-backup@.timer",
        ] {
            #expect(try Files.exists(scratch.file(path)), "\(path)")
        }
        #expect(
            try Files.readText(scratch.file("usr/lib/systemd/system/tidemark-backup@.service")).contains(
                "ExecStart=/usr/bin/tidemark "))
        let version = try run(scratch.file("usr/bin/tidemark"), ["version"])
        #expect(version.output.hasPrefix("tidemark "))
        let removed = try run(
            "/usr/bin/make",
            ["-s", "-C", DocumentationTests.root, "uninstall", "DESTDIR=\(scratch.path)", "PREFIX=/usr"])
        #expect(removed.ending == .exited(0), "\(removed.errors)")
        #expect(try !Files.exists(scratch.file("usr/bin/tidemark")))
    }
}

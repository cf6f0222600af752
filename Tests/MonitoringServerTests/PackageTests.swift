import Glibc
import Platform
import Support
import Testing

/// The Debian package on this very machine: built, installed, upgraded, removed, purged.
@Suite(.serialized) struct PackageTests {
    private static let root = Files.parent(Files.parent(Files.parent(#filePath)))

    /// dpkg as root; waits for whoever else holds its lock.
    private func dpkg(_ arguments: [String]) throws -> Finished {
        for _ in 0..<60 {
            let finished =
                geteuid() == 0
                ? try run("/usr/bin/dpkg", arguments) : try run("/usr/bin/sudo", ["-n", "/usr/bin/dpkg"] + arguments)
            guard finished.errors.contains("lock") && finished.ending != .exited(0) else { return finished }
            Clock.sleep(milliseconds: 1000)
        }
        throw Problem("dpkg's lock was not given up for a minute")
    }

    private func status() throws -> String {
        try run("/usr/bin/dpkg-query", ["-W", "-f", "${db:Status-Abbrev}", "tidemark"]).output
    }

    @Test func `the package installs, keeps what was configured, and goes without a trace except for backups`() throws {
        // A machine that works with tidemark is not the place for this test.
        for path in ["/etc/tidemark", "/var/lib/tidemark", "/var/lib/tidemark-state"] {
            try #require(try status().isEmpty && !Files.exists(path), "tidemark is in use on this machine: \(path)")
        }
        let scratch = try Scratch()
        let built = try run(Self.root + "/packaging/build-deb", [try Executables.directory.get(), scratch.path])
        try #require(built.ending == .exited(0), "\(built.errors)\(built.output)")
        let package = String(built.output.split(separator: "\n").last ?? "")
        let fields = try run("/usr/bin/dpkg-deb", ["-f", package]).output
        for word in ["libpq5", "libcurl4", "libssl3", "libsqlite3-0", "postgresql-common"] {
            #expect(fields.contains(word), "\(fields)")
        }
        let files = try run("/usr/bin/dpkg-deb", ["-c", package]).output.split(separator: "\n").map(String.init)
        // Everything belongs to root and nobody else may write.
        for line in files {
            #expect(line.contains(" root/root ") && !line.prefix(10).dropFirst(5).contains("w"), "\(line)")
        }

        defer { _ = try? dpkg(["-P", "tidemark"]) }
        let installed = try dpkg(["-i", package])
        #expect(installed.ending == .exited(0), "\(installed.errors)")
        #expect(try status() == "ii ")
        for path in [
            "/usr/bin/tidemark", "/usr/bin/tidemark-main", "/usr/share/man/man1/tidemark-check.1.gz",
            "/usr/lib/systemd/system/tidemark-backup@.timer", "/usr/lib/systemd/system/tidemark-alert@.service",
            "/usr/share/bash-completion/completions/tidemark", "/usr/share/zsh/vendor-completions/_tidemark",
            "/usr/share/fish/vendor_completions.d/tidemark.fish", "/usr/share/doc/tidemark/copyright",
            "/etc/tidemark/tidemark.conf",
        ] {
            #expect(try Files.exists(path), "\(path)")
        }
        let owner = try run("/usr/bin/stat", ["-c", "%U:%G %a", "/var/lib/tidemark", "/var/lib/tidemark-state"]).output
        #expect(owner == "postgres:postgres 750\npostgres:postgres 750\n")
        let version = try runAsServerUser("/usr/bin/tidemark", ["version"])
        #expect(version.output.hasPrefix("tidemark "))
        #expect(try run("/usr/bin/dpkg", ["--verify", "tidemark"]).output == "")
        // Not configured yet: said with the place to do it.
        let unconfigured = try runAsServerUser("/usr/bin/tidemark", ["settings"], expectSuccess: false)
        #expect(unconfigured.ending == .exited(2) && unconfigured.errors.contains("/etc/tidemark/tidemark.conf"))

        // What an administrator wrote survives the next version, and removal.
        let text = "repository = '/var/lib/tidemark'\n[cluster main]\ndata_directory = '/var/lib/postgresql/15/main'\n"
        try replaceDurably("/etc/tidemark/tidemark.conf", bytes: Array(text.utf8), mode: 0o644)
        #expect(try dpkg(["-i", package]).ending == .exited(0))
        #expect(try Files.readText("/etc/tidemark/tidemark.conf") == text)
        try runAsServerUser("/bin/sh", ["-c", "mkdir /var/lib/tidemark/main; touch /var/lib/tidemark/main/backup"])
        #expect(try dpkg(["-r", "tidemark"]).ending == .exited(0))
        #expect(try status() == "rc ")
        #expect(try !Files.exists("/usr/bin/tidemark") && Files.exists("/etc/tidemark/tidemark.conf"))

        // Purging takes configuration and state, never backups.
        let purged = try dpkg(["-P", "tidemark"])
        #expect(purged.ending == .exited(0), "\(purged.errors)")
        #expect(try !Files.exists("/etc/tidemark") && !Files.exists("/var/lib/tidemark-state"))
        #expect(try Files.exists("/var/lib/tidemark/main/backup"))
        try Files.removeTree("/var/lib/tidemark")
        let left = try run(
            "/usr/bin/find", ["/usr/bin", "/usr/share", "/usr/lib/systemd", "/etc", "-name", "*tidemark*"])
        #expect(left.output == "", "\(left.output)")
    }
}

import Glibc
import Platform
import Support
import Testing

/// The Debian package on a machine like this one: built here, then installed, upgraded, removed and purged on an
/// overlay of this machine's root, so that nothing here changes, and its own state doesn't matter.
@Suite(.serialized) struct PackageTests {
    private static let root = Files.parent(Files.parent(Files.parent(#filePath)))

    /// This machine's files, and changes to them that go with it.
    private final class OverlaidMachine {
        let scratch: Scratch
        let root: String

        init() throws {
            // Its root has a /dev of its own.
            scratch = try Scratch(in: TestPlace.onDisk)
            chmod(scratch.path, 0o755)
            root = scratch.file("changes/root")
            let changes = scratch.file("changes")
            for (command, arguments) in [
                ("/bin/mkdir", [changes]),
                ("/bin/mount", ["-t", "tmpfs", "-o", "size=1g,mode=0755", "tidemark-test", changes]),
                ("/bin/mkdir", [changes + "/upper", changes + "/work", root]),
                (
                    "/bin/mount",
                    [
                        "-t", "overlay", "-o", "lowerdir=/,upperdir=\(changes)/upper,workdir=\(changes)/work",
                        "tidemark-test", root,
                    ]
                ),
                ("/bin/mount", ["-t", "proc", "tidemark-test", root + "/proc"]),
                ("/bin/rm", ["-f", root + "/dev/null"]),
                ("/bin/mknod", ["-m", "666", root + "/dev/null", "c", "1", "3"]),
            ] {
                let finished = try asRoot(command, arguments)
                try #require(finished.ending == .exited(0), "\(command) \(arguments): \(finished.errors)")
            }
            // tidemark hasn't been used there yet.
            _ = try run("/usr/bin/dpkg", ["-P", "tidemark"])
            try run(
                "/bin/rm", ["-rf", "/etc/tidemark", "/var/lib/tidemark", "/var/lib/tidemark-state"], expectSuccess: true
            )
        }

        deinit {
            for place in [root + "/proc", root, scratch.file("changes")] {
                _ = try? asRoot("/bin/umount", ["-l", place])
            }
        }

        private func asRoot(_ program: String, _ arguments: [String]) throws -> Finished {
            geteuid() == 0
                ? try Platform.run(program, arguments) : try Platform.run("/usr/bin/sudo", ["-n", program] + arguments)
        }

        /// Runs a program there, as root or as another user.
        @discardableResult
        func run(_ program: String, _ arguments: [String], user: String = "root", expectSuccess: Bool = false) throws
            -> Finished
        {
            let finished = try asRoot("/usr/sbin/chroot", ["--userspec=\(user):\(user)", root, program] + arguments)
            if expectSuccess { try #require(finished.ending == .exited(0), "\(program): \(finished.errors)") }
            return finished
        }
    }

    @Test func `the package installs, keeps what was configured, and goes without a trace except for backups`() throws {
        let scratch = try Scratch(in: TestPlace.onDisk)
        let built = try run(Self.root + "/packaging/build-deb", [try Executables.directory.get(), scratch.path])
        try #require(built.ending == .exited(0), "\(built.errors)\(built.output)")
        let package = String(built.output.split(separator: "\n").last ?? "")
        let fields = try run("/usr/bin/dpkg-deb", ["-f", package]).output
        for word in ["libpq5", "libcurl4", "libssl3", "libsqlite3-0", "postgresql-common"] {
            #expect(fields.contains(word), "\(fields)")
        }
        let files = try run("/usr/bin/dpkg-deb", ["-c", package]).output.split(separator: "\n").map(String.init)
        // Everything belongs to root, and no other user may write it.
        for line in files {
            #expect(line.contains(" root/root ") && !line.prefix(10).dropFirst(5).contains("w"), "\(line)")
        }

        let machine = try OverlaidMachine()
        func exists(_ path: String) throws -> Bool { try Files.exists(machine.root + path) }
        func dpkg(_ arguments: String...) throws -> Finished { try machine.run("/usr/bin/dpkg", arguments) }
        func status() throws -> String {
            try machine.run("/usr/bin/dpkg-query", ["-W", "-f", "${db:Status-Abbrev}", "tidemark"]).output
        }
        func traces() throws -> String {
            try machine.run(
                "/usr/bin/find", ["/usr/bin", "/usr/share", "/usr/lib/systemd", "/etc", "-name", "*tidemark*"]
            ).output
        }
        let before = try traces()
        let installed = try dpkg("-i", package)
        #expect(installed.ending == .exited(0), "\(installed.errors)")
        #expect(try status() == "ii ")
        for path in [
            "/usr/bin/tidemark", "/usr/bin/tidemark-main", "/usr/share/man/man1/tidemark-check.1.gz",
            "/usr/lib/systemd/system/tidemark-backup@.timer", "/usr/lib/systemd/system/tidemark-alert@.service",
            "/usr/share/bash-completion/completions/tidemark", "/usr/share/zsh/vendor-completions/_tidemark",
            "/usr/share/fish/vendor_completions.d/tidemark.fish", "/usr/share/doc/tidemark/copyright",
            "/etc/tidemark/tidemark.conf",
        ] {
            #expect(try exists(path), "\(path)")
        }
        let owner = try machine.run(
            "/usr/bin/stat", ["-c", "%U:%G %a", "/var/lib/tidemark", "/var/lib/tidemark-state"]
        ).output
        #expect(owner == "postgres:postgres 750\npostgres:postgres 750\n")
        let version = try machine.run("/usr/bin/tidemark", ["version"], user: "postgres")
        #expect(version.output.hasPrefix("tidemark "), "\(version.errors)")
        #expect(try dpkg("--verify", "tidemark").output == "")
        // Not configured yet: the message names the file.
        let unconfigured = try machine.run("/usr/bin/tidemark", ["settings"], user: "postgres")
        #expect(unconfigured.ending == .exited(2) && unconfigured.errors.contains("/etc/tidemark/tidemark.conf"))

        // An administrator's file survives the next version, and removal.
        let text = "repository = '/var/lib/tidemark'\n[cluster main]\ndata_directory = '/var/lib/postgresql/15/main'\n"
        let configuration = "/etc/tidemark/tidemark.conf"
        try machine.run("/bin/sh", ["-c", "printf %s \"$1\" >\"$2\"", "sh", text, configuration], expectSuccess: true)
        #expect(try dpkg("-i", package).ending == .exited(0))
        #expect(try Files.readText(machine.root + configuration) == text)
        try machine.run(
            "/bin/sh", ["-c", "mkdir /var/lib/tidemark/main; touch /var/lib/tidemark/main/backup"], user: "postgres",
            expectSuccess: true)
        #expect(try dpkg("-r", "tidemark").ending == .exited(0))
        #expect(try status() == "rc ")
        #expect(try !exists("/usr/bin/tidemark") && exists(configuration))

        // Purging removes configuration and state, never backups.
        let purged = try dpkg("-P", "tidemark")
        #expect(purged.ending == .exited(0), "\(purged.errors)")
        #expect(try !exists("/etc/tidemark") && !exists("/var/lib/tidemark-state"))
        #expect(try machine.run("/usr/bin/test", ["-e", "/var/lib/tidemark/main/backup"]).ending == .exited(0))
        let after = try traces()
        #expect(after == before)
    }
}

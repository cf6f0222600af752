import Glibc
import Platform
import Support
import Testing

/// What keeps tidemark from writing into its state directory.
private struct Obstacle: Sendable, CustomTestStringConvertible {
    let testDescription: String
    /// A shell command. `$1` is a directory that only root may change, `$1/state` the state directory, if it exists.
    let make: String
    /// Whether what was in the state directory can still be read.
    var isReadable = false

    static let all = [
        Obstacle(
            testDescription: "read-only", make: "mount --bind $1 $1 && mount -o remount,bind,ro $1", isReadable: true),
        Obstacle(
            testDescription: "not writable", make: "chown -R root $1/state && chmod -R a+rX,u+w,go-w $1/state",
            isReadable: true),
        Obstacle(testDescription: "not accessible", make: "chown root $1/state && chmod 0700 $1/state"),
        Obstacle(
            testDescription: "full",
            make: """
                mv $1/state $1/was && mkdir $1/state && mount -t tmpfs -o size=64k,mode=0777 tidemark-test $1/state
                cp -a $1/was/. $1/state && { cat /dev/zero >$1/state/filler 2>$1/told; grep -q 'No space' $1/told; }
                """, isReadable: true),
        Obstacle(
            testDescription: "without inodes",
            make: "rm -r $1/state && mkdir $1/state && mount -t tmpfs -o nr_inodes=1,mode=0777 tidemark-test $1/state"),
        Obstacle(testDescription: "absent", make: "rm -r $1/state"),
        Obstacle(testDescription: "a file", make: "rm -r $1/state && touch $1/state"),
        Obstacle(
            testDescription: "a link that leads nowhere", make: "rm -r $1/state && ln -s $1/unmounted/state $1/state"),
    ]

    /// Runs `body` with a configuration whose state directory has the obstacle.
    /// - Parameter prepared: writes into the state directory before.
    func with(
        _ site: TestSite, prepared: ([String: String]) throws -> Void = { _ in },
        _ body: (_ environment: [String: String]) throws -> Void
    ) throws {
        try #require(geteuid() == 0, "mounting needs root")
        let place = try Scratch()
        chmod(place.path, 0o755)
        let state = place.file("state")
        let owner = try FileStatus(of: site.cluster.data)
        try Files.makeDirectories(state)
        chown(state, owner.owner, owner.group)
        let text = try Files.readText(site.configuration).replacing(
            "'\(site.scratch.file("state"))'", with: "'\(state)'")
        try createDurably(site.scratch.file("\(Files.name(place.path)).conf"), bytes: Array(text.utf8), mode: 0o644)
        let environment = ["TIDEMARK_CONFIG": site.scratch.file("\(Files.name(place.path)).conf")]
        try prepared(environment)
        let made = try run("/bin/sh", ["-c", make, "sh", place.path])
        try #require(made.ending == .exited(0), "\(made)")
        defer { for path in [state, place.path] { _ = try? run("/bin/umount", ["-l", path]) } }
        try body(environment)
    }
}

/// What a command needs the state directory for is rarely a reason to do nothing.
@Suite(.serialized) struct StateDirectoryServerTests {
    private static func made() throws -> TestSite {
        let site = try TestSite(initdb: ["--wal-segsize=1"])
        try site.cluster.psql("create table t as select generate_series(1, 1000) n")
        try site.tidemark(["backup"], expectSuccess: true)
        try site.archiveEverything()
        return site
    }
    private static let site = TestSite.shared { try made() }
    private static let unrecorded = "WARNING:  the progress of this recovery cannot be recorded: could not "

    @Test(arguments: Obstacle.all) private func `what can be done without a state directory is done`(
        _ obstacle: Obstacle
    ) throws {
        let site = try Self.site.get()
        let segment = try #require(try Files.list(site.cluster.data + "/pg_wal").filter { $0.count == 24 }.min())
        let commands = [
            ["archive-push", "\(site.cluster.data)/pg_wal/\(segment)"],
            ["archive-get", segment, site.scratch.file("got-\(obstacle.testDescription)")],
            ["plan", "--target", "latest"], ["list"], ["window"], ["verify", "--wal"], ["backup", "--no-expire"],
        ]
        try obstacle.with(site) { environment in
            for command in commands {
                let told = try site.tidemark(command, environment: environment)
                #expect(told.ending == .exited(0), "\(command): \(told)")
            }
            let checked = try site.tidemark(["check"], environment: environment)
            #expect(!checked.errors.contains("ERROR:") && checked.output.contains("gaps"), "\(checked)")
        }
    }

    @Test(arguments: Obstacle.all) private func `a recovery that cannot record its progress says so and goes on`(
        _ obstacle: Obstacle
    ) throws {
        let site = try Self.site.get()
        let directory = try RecoveredDirectory(site)
        let recovery = ["recover", "--target", "latest", "--data-directory", directory.path, "--start", "--yes"]
        try obstacle.with(site) { environment in
            // It fails on its way: there is nothing to continue.
            let failed = try site.tidemark(
                recovery, environment: environment.merging(["TIDEMARK_FAULT": "write:/base/1/=EIO"]) { $1 })
            #expect(failed.ending == .exited(1), "\(failed)")
            #expect(failed.errors.contains("then run the command again, or remove the directory"), "\(failed)")
            #expect(!failed.errors.contains("--resume"), "\(failed)")
            let resumed = try site.tidemark(
                ["recover", "--resume", "--data-directory", directory.path, "--yes"], environment: environment)
            #expect(resumed.ending == .exited(1), "\(resumed)")
            #expect(
                resumed.errors.contains(obstacle.isReadable ? "no recovery into" : "recovery into \""), "\(resumed)")

            let done = try site.tidemark(recovery, environment: environment)
            #expect(done.ending == .exited(0), "\(done)")
            #expect(done.errors.contains(Self.unrecorded), "\(done)")
            #expect(done.errors.contains("HINT:  To record it, name a state directory"), "\(done)")
            #expect(!done.errors.contains("ERROR:"), "\(done)")
            #expect(try directory.psql("select count(*) from t") == "1000")
        }
    }

    @Test(arguments: Obstacle.all.filter(\.isReadable))
    private func `an interrupted recovery is continued though its record can no longer be changed`(
        _ obstacle: Obstacle
    ) throws {
        let site = try Self.site.get()
        let directory = try RecoveredDirectory(site)
        let name = ["--data-directory", directory.path, "--yes"]
        func begin(_ environment: [String: String]) throws {
            let failed = try site.tidemark(
                ["recover", "--target", "latest", "--start"] + name,
                environment: environment.merging(["TIDEMARK_FAULT": "write:/base/1/=EIO"]) { $1 })
            #expect(failed.errors.contains("recover --resume"), "\(failed)")
        }
        try obstacle.with(site, prepared: begin) { environment in
            let done = try site.tidemark(["recover", "--resume"] + name, environment: environment)
            #expect(done.ending == .exited(0), "\(done)")
            #expect(done.errors.contains(Self.unrecorded), "\(done)")
            #expect(try directory.psql("select count(*) from t") == "1000")
        }
    }

    @Test(arguments: Obstacle.all) private func `in place, all WAL is archived and replayed without a state directory`(
        _ obstacle: Obstacle
    ) throws {
        let site = try Self.made()
        try site.cluster.psql("insert into t values (0)")
        try site.cluster.stop(mode: "immediate")
        try obstacle.with(site) { environment in
            let done = try site.tidemark(
                ["recover", "--target", "latest", "--start", "--yes"], environment: environment)
            #expect(done.ending == .exited(0), "\(done)")
            #expect(done.errors.contains(".partial\" of the old directory"), "\(done)")
            #expect(done.errors.contains(Self.unrecorded), "\(done)")
            #expect(try site.cluster.psql("select count(*) from t") == "1001")
        }
    }

    @Test(arguments: Obstacle.all)
    private func `where a temporary cluster cannot be made, the option that helps is named`(
        _ obstacle: Obstacle
    ) throws {
        let site = try Self.site.get()
        let elsewhere = site.scratch.file("elsewhere")
        let dump = site.scratch.file("\(obstacle.testDescription).dump")
        let commands = [
            ["drill"], ["recover-table", "-t", "postgres.public.t", "--target", "latest", "--to-file", dump],
        ]
        try obstacle.with(site) { environment in
            for command in commands {
                let told = try site.tidemark(command, environment: environment)
                #expect(told.ending == .exited(1), "\(command): \(told)")
                let hint = told.errors.split(separator: "\n").last { $0.contains("HINT:") }
                let option = ["--scratch-directory", "--state-directory"].first { hint?.contains("with \($0)") == true }
                let done = try site.tidemark(
                    command + [#require(option, "\(command): \(told)"), elsewhere], environment: environment)
                #expect(done.ending == .exited(0), "\(command): \(done)")
            }
        }
    }

    @Test func `only one recovery at a time works in a directory whose lock file cannot be made`() throws {
        let site = try Self.site.get()
        let directory = try RecoveredDirectory(site)
        let recovery = ["recover", "--target", "latest", "--yes", "--data-directory", directory.path]
        let absent = try #require(Obstacle.all.first { $0.testDescription == "absent" })
        try absent.with(site) { environment in
            let line = ([try Executables.tidemark()] + recovery).map(shellQuoted).joined(separator: " ")
            let both = try Gate(at: "write:/base/1/").run(
                Executables.tidemark(), recovery + ["--config", environment["TIDEMARK_CONFIG"]!],
                meanwhile: "env -u TIDEMARK_FAULT TIDEMARK_CONFIG=\(environment["TIDEMARK_CONFIG"]!) \(line)")
            #expect(both.ending == .exited(0), "\(both)")
            #expect(both.errors.contains("another process recovers into a directory in \""), "\(both)")
        }
    }
}

import Platform
import Support
import Testing

/// Recovery works from a read-only repository.
@Suite struct ReadOnlyRepositoryServerTests {
    struct Obstacle: CustomStringConvertible, Sendable {
        let description: String
        /// A shell command; `$1` is the repository, a mount point.
        let make: String
        let undo: String
    }

    static let obstacles = [
        Obstacle(
            description: "mounted read-only", make: "mount -o remount,ro \"$1\"", undo: "mount -o remount,rw \"$1\""),
        Obstacle(
            description: "without write permission", make: "chmod -R a-w \"$1\"", undo: "chmod -R u+w \"$1\""),
        Obstacle(
            description: "full", make: "cat /dev/zero >\"$1\"/filler 2>/dev/null; test -s \"$1\"/filler",
            undo: "rm -f \"$1\"/filler"),
    ]

    @Test(arguments: obstacles) func `a recovery needs only to read the repository`(_ obstacle: Obstacle) throws {
        let place = try Scratch()
        let mounted = try run(
            "/bin/mount", ["-t", "tmpfs", "-o", "size=256m,mode=0777", "tidemark-test", place.path])
        try #require(mounted.ending == .exited(0), "\(mounted.errors)")
        defer { _ = try? run("/bin/umount", ["-l", place.path]) }
        let site = try TestSite(initdb: ["--wal-segsize=1"])
        try site.cluster.psql("create table t as select generate_series(1, 1000) n")
        try site.tidemark(["backup"], expectSuccess: true)
        try site.archiveEverything()
        try runAsServerUser("/bin/cp", ["-a", site.repository, place.file("repository")], expectSuccess: true)
        let text = try Files.readText(site.configuration).replacing(
            "'\(site.repository)'", with: "'\(place.file("repository"))'")
        try createDurably(site.scratch.file("only.conf"), bytes: Array(text.utf8), mode: 0o644)
        let environment = ["TIDEMARK_CONFIG": site.scratch.file("only.conf")]
        let made = try run("/bin/sh", ["-c", obstacle.make, "sh", place.path])
        try #require(made.ending == .exited(0), "\(made.errors)")
        defer { _ = try? run("/bin/sh", ["-c", obstacle.undo, "sh", place.path]) }

        let directory = try RecoveredDirectory(site)
        let commands = [
            ["recover", "--target", "latest", "--data-directory", directory.path, "--start", "--yes"], ["drill"],
            [
                "recover-table", "-t", "postgres.public.t", "--target", "latest", "--to-file",
                site.scratch.file("t.dump"),
            ],
        ]
        for command in commands {
            let told = try site.tidemark(command, environment: environment)
            #expect(told.ending == .exited(0), "\(command): \(told)")
            guard command[0] != "recover-table" else { continue }
            #expect(
                told.errors.contains("WARNING:  the repository keeps no record of this recovery"), "\(command): \(told)"
            )
        }
        #expect(try directory.psql("select count(*) from t") == "1000")
    }
}

import Glibc
import Platform
import Support
import Testing

/// A point of a command at which the repository goes away, and what is in its place from then on.
private struct Departure: Sendable, CustomTestStringConvertible {
    let testDescription: String
    /// Where the command is held (`Gate`).
    let gate: String
    let command: [String]
    let ends: [Int32]
    let says: String

    init(_ name: String, at gate: String, _ command: [String], ends: [Int32] = [1], says: String) {
        (testDescription, self.gate, self.command, self.ends, self.says) = (name, gate, command, ends, says)
    }

    private static let replaced = "is not the one that was opened"
    static let all = [
        Departure("a backup, before its first pack", at: "open:/pack/*/.000001.", backup, says: replaced),
        Departure("a backup, after its first pack", at: "open:/pack/*/.000002.", backup, says: replaced),
        Departure("a backup, before its manifest", at: "open:.manifest.sqlite.zst.", backup, says: replaced),
        Departure("a backup, before backup.json", at: "open:.backup.json.", backup, says: replaced),
        Departure("a backup, before backup.json gets its name", at: "fsync:.backup.json.", backup, says: replaced),
        Departure("a verification, before its record", at: "open:.verified-", ["verify"], says: replaced),
        Departure("an expiration, before it removes", at: "unlink:backup.json", expire, ends: [0], says: ""),
        Departure("an import", at: "open:.zst.", ["import", "SEGMENTS"], ends: [1, 3], says: replaced),
        Departure("a push", at: "open:.zst.", ["archive-push", "SEGMENT"], says: replaced),
        Departure(
            "a recovery", at: "open:.recovery.signal.",
            ["recover", "--target", "immediate", "--data-directory", "DIRECTORY", "--yes"], ends: [0],
            says: "could not record the end of the recovery"),
    ]
    private static let backup = ["backup", "--jobs", "1", "--no-expire"]
    private static let expire = ["expire", "--keep-full", "1"]
}

/// The repository's file system goes away in the middle of a command. Renaming the directory does what unmounting does.
@Suite(.serialized) struct AbsentRepositoryServerTests {
    private static let site = TestSite.sharedWithBackup()

    private func listing(_ directory: String) throws -> String {
        try run("/usr/bin/find", [directory, "-printf", "%P %s %y\\n"]).output
    }

    @Test(arguments: Departure.all, ["an empty mount point", "another repository"])
    private func `nothing is made or removed where the repository was`(_ departure: Departure, _ found: String) throws {
        let site = try Self.site.get()
        let (repository, away, other) = (site.repository, site.scratch.file("away"), site.scratch.file("other"))
        defer { _ = try? run("/bin/sh", ["-c", "rm -rf \"$0\"", other]) }
        if departure.command[0] == "expire" {
            try site.tidemark(["backup", "--no-expire"], expectSuccess: true)
        }
        try site.cluster.waitForArchiver()
        let before = try site.backupLabels()
        let script =
            found == "another repository" ? "cp -a \"\(repository)\" \"\(other)\"" : "mkdir \"\(other)\""
        try runAsServerUser("/bin/sh", ["-c", script])
        // A segment that isn't archived yet, for the commands that store it.
        let path = try #require(
            run("/usr/bin/find", [repository, "-name", "0000000100000000????????.zst"]).output
                .split(separator: "\n").map(String.init).min())
        let segment = site.scratch.file(String(Files.name(path).dropLast(4)))
        let words = departure.command.map { word in
            switch word {
            case "SEGMENT": segment
            case "SEGMENTS": Files.parent(segment) + "/segments"
            case "DIRECTORY": site.scratch.file("recovered")
            default: word
            }
        }
        let stores = departure.gate == "open:.zst."
        if stores {
            let unpack = """
                zstd -q -d -f "$1" -o "$2" && mkdir -p "$3" && cp "$2" "$3" && mv "$1" "$1.kept"
                """
            try runAsServerUser("/bin/sh", ["-c", unpack, "sh", path, segment, Files.parent(segment) + "/segments"])
        }
        let finished = try Gate(at: departure.gate).run(
            Executables.tidemark(), words, environment: ["TIDEMARK_CONFIG": site.configuration],
            meanwhile: """
                mv "\(repository)" "\(away)"; mv "\(other)" "\(repository)"
                find "\(repository)" -printf '%P %s %y\\n' >"\(site.scratch.file("listing"))"
                """)
        let said = "\(finished.ending) \(finished.errors)"
        #expect(departure.ends.contains { finished.ending == .exited($0) }, "\(said)")
        #expect(finished.errors.contains(departure.says), "\(said)")
        let expected = try Files.readText(site.scratch.file("listing"))
        let now = try listing(repository)
        // The archiver of the running server continues, with whatever archive it finds.
        #expect(
            found == "another repository"
                ? now.split(separator: "\n").filter { !$0.contains("wal/") }
                    == expected.split(separator: "\n").filter { !$0.contains("wal/") }
                : now == expected, "\(now)\nwas\n\(expected)")
        // It comes back with its contents, and with what the archiver stored in the other one meanwhile.
        if found == "another repository" { try site.cluster.waitForArchiver() }
        let back = """
            mv "$1" "$3" && cd "$3" && find . -path '*/wal/*' -name '*.zst' -exec cp -an --parents {} "$2" \\;
            cd / && rm -rf "$3" && mv "$2" "$1"
            """
        try runAsServerUser("/bin/sh", ["-c", back, "sh", repository, away, other])
        if stores { try runAsServerUser("/bin/mv", [path + ".kept", path]) }
        _ = try runAsServerUser(
            "/bin/rm", ["-rf", site.scratch.file("recovered"), segment, Files.parent(segment) + "/segments"])
        // After three failures the archiver would rest for a minute; a finished segment wakes it.
        try site.cluster.psql("select pg_logical_emit_message(false, 'back', 'again')")
        try site.archiveEverything()
        let after = try site.backupLabels()
        if departure.command[0] == "expire" {
            #expect(after.count == 1 && after.isSubset(of: before))
        } else {
            #expect(after == before)
        }
        try site.tidemark(["expire", "--keep-full", "5"], expectSuccess: true)
        #expect(try site.backupLabels() == after)
        try site.tidemark(["verify"], expectSuccess: true)
    }

    /// With a real file system, which is unmounted while it is in use.
    @Test(arguments: [false, true]) func `a backup whose repository was unmounted`(comesBack: Bool) throws {
        try #require(geteuid() == 0, "mounting a small file system needs root")
        let site = try TestSite(initdb: ["--wal-segsize=1"], initialize: false)
        let keeper = site.scratch.file("keeper")
        for directory in [keeper, site.repository] {
            try runAsServerUser("/bin/mkdir", ["-m", "0777", directory])
        }
        func mount(_ arguments: [String]) throws {
            let mounted = try run("/bin/mount", arguments)
            try #require(mounted.ending == .exited(0), "\(mounted.errors)")
        }
        func unmount(_ place: String) { _ = try? run("/bin/umount", ["-l", place]) }
        try mount(["-t", "tmpfs", "-o", "size=200m,mode=0777", "tidemark-test", keeper])
        defer { unmount(keeper) }
        try mount(["--bind", keeper, site.repository])
        defer { unmount(site.repository) }
        try site.tidemark(["init"], expectSuccess: true)
        try site.tidemark(["backup"], expectSuccess: true)
        let first = try site.backupLabels()
        let gate = try Gate(at: "open:/pack/*/.000002.")
        let environment = gate.environment.merging(["TIDEMARK_CONFIG": site.configuration]) { $1 }
        let ended = Monitor<Finished?>(nil)
        let worker = try Worker {
            let finished = try? site.tidemark(["backup", "--jobs", "1", "--no-expire"], environment: environment)
            ended.update { $0 = finished }
        }
        try gate.waitUntilReached()
        unmount(site.repository)
        if comesBack { try mount(["--bind", keeper, site.repository]) }
        try gate.open()
        worker.join()
        let finished = try #require(ended.update { $0 })
        if comesBack {
            #expect(finished.ending == .exited(0), "\(finished.errors)")
            #expect(try site.backupLabels().count == 2)
        } else {
            #expect(finished.ending == .exited(1), "\(finished.errors)")
            #expect(finished.errors.contains("is not the one that was opened"), "\(finished.errors)")
            #expect(try Files.list(site.repository) == [])
            try mount(["--bind", keeper, site.repository])
            #expect(try site.backupLabels() == first)
        }
        try site.tidemark(["verify"], expectSuccess: true)
        try site.cluster.stop()
    }
}

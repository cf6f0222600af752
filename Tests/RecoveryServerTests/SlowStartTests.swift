import Glibc
import Platform
import Support
import Testing

/// Servers that start late on a busy machine.
@Suite struct SlowStartTests {
    @Test func `a server that begins late is waited for, and what is archived meanwhile comes as well`() throws {
        let site = try TestSite(initdb: ["--wal-segsize=1"])
        try site.tidemark(["backup"], expectSuccess: true)
        try site.cluster.psql("create table late as select 1 n")
        try site.archiveEverything()
        // pg_ctl starts the postgres beside it.
        let programs = site.scratch.file("bin")
        try Files.makeDirectories(programs, mode: 0o755)
        chmod(programs, 0o755)
        let real = site.cluster.server.bin
        #expect(try run("/bin/cp", [real + "/pg_ctl", programs]).ending == .exited(0))
        try createDurably(
            programs + "/postgres",
            bytes: Array(
                """
                #!/bin/sh
                case "$*" in *-D*)
                    \(real)/psql -h \(site.cluster.directory) -U postgres -Xqc 'insert into late values (2)'
                    \(real)/psql -h \(site.cluster.directory) -U postgres -Xqc 'select pg_switch_wal()' >&2
                    while [ -n "$(find \(site.cluster.data)/pg_wal/archive_status -name '*.ready')" ]; do sleep 0.1; done
                    sleep 2
                esac
                exec \(real)/postgres "$@"

                """.utf8), mode: 0o755)
        chmod(programs + "/postgres", 0o755)
        let directory = try RecoveredDirectory(site)
        let finished = try directory.recover(["--target", "latest", "--bin-directory", programs])
        #expect(finished.ending == .exited(0), "\(finished.errors)")
        let answer = try RecoverAnswer(finished.output)
        #expect(answer.state == "promoted" && answer.asPredicted == true && answer.archiveHasGrown == true)
        #expect(try directory.psql("select count(*) from late") == "2")
    }

    /// pg_ctl gives up after a second; the process that it started counts, not the clock.
    @Test(arguments: ["recover", "recover-table"])
    func `a starting server is waited for, and one that is gone is not`(command: String) throws {
        let site = try TestSite(initdb: ["--wal-segsize=1"])
        try site.cluster.psql("create table t as select 1 n")
        try site.tidemark(["backup"], expectSuccess: true)
        let programs = site.scratch.file("bin")
        try Files.makeDirectories(programs, mode: 0o755)
        chmod(programs, 0o755)
        let real = site.cluster.server.bin
        _ = try run("/bin/sh", ["-c", "ln -s \(real)/* \(programs) && rm \(programs)/postgres \(programs)/pg_ctl"])
        #expect(try run("/bin/cp", [real + "/pg_ctl", programs]).ending == .exited(0))
        func server(_ words: String) throws {
            let text = "#!/bin/sh\ncase \"$*\" in *-D*) \(words) ;; esac\nexec \(real)/postgres \"$@\"\n"
            try replaceDurably(programs + "/postgres", bytes: Array(text.utf8), mode: 0o755)
            chmod(programs + "/postgres", 0o755)
        }
        func start(_ name: String) throws -> Finished {
            let words =
                command == "recover"
                ? ["--target", "latest", "--data-directory", site.scratch.file(name), "--start", "--yes"]
                : [
                    "-t", "postgres.public.t", "--target", "latest", "--to-file", site.scratch.file(name + ".sql"),
                    "--yes",
                ]
            return try site.tidemark([command] + words + ["--bin-directory", programs])
        }
        // It prints nothing and leaves no file: only its process shows that it is there.
        try server("sleep 3; exit 0")
        let gone = try start("gone")
        #expect(gone.ending == .exited(1), "\(gone)")
        // Longer than a minute, which must not be a limit.
        try server("sleep 65")
        let late = try start("late")
        #expect(late.ending == .exited(0), "\(late)")
    }
}

import Glibc
import Platform
import Support
import Testing

/// A server that a busy machine lets start late.
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
}

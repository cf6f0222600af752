import Glibc
import Platform
import Support
import Testing

/// A server that a busy machine lets start late.
@Suite struct SlowStartTests {
    @Test func `a server that takes seconds to begin is waited for, and followed to the target`() throws {
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
                case "$*" in *-D*) sleep 3 ;; esac
                exec \(real)/postgres "$@"

                """.utf8), mode: 0o755)
        chmod(programs + "/postgres", 0o755)
        let directory = try RecoveredDirectory(site)
        let finished = try directory.recover(["--target", "latest", "--bin-directory", programs])
        #expect(finished.ending == .exited(0), "\(finished.errors)")
        #expect(try directory.psql("select n from late") == "1")
    }
}

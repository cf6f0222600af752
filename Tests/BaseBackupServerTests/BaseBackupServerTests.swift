import BackupTaking
import Backups
import DataDirectory
import Glibc
import Platform
import Repository
import Restoring
import Support
import Testing
import WAL

@Suite(.serialized) struct BaseBackupServerTests {
    @Test(arguments: TestServer.allCases.map { ($0, true) } + [(.v15, false)])
    func `a restored backup passes pg_verifybackup and pg_checksums and has the rows`(
        server: TestServer, checksums: Bool
    ) throws {
        let fixture = try BackupFixture(server, initdb: checksums ? ["--data-checksums"] : [])
        try fixture.cluster.psql(
            "CREATE TABLE t AS SELECT i, repeat(md5(i::text), 4) AS x FROM generate_series(1, 20000) i")
        try fixture.cluster.psql("CREATE UNLOGGED TABLE u AS SELECT i FROM generate_series(1, 1000) i")
        let backup = try fixture.takeBackup { $0.note = "the first" }
        #expect(backup.hasChecksums == checksums)
        #expect(backup.corruptPages == [])
        #expect((backup.verifiedPages > 0) == checksums)
        #expect(backup.note == "the first")
        #expect(try fixture.archive.listBackups().complete == [backup])
        try fixture.cluster.psql("INSERT INTO t SELECT i, 'later' FROM generate_series(1, 10) i")
        try fixture.cluster.psql("SELECT pg_switch_wal()")

        let target = fixture.scratch.file("restored")
        let report = try fixture.restore(backup, to: target)
        #expect(report.files > 900)
        let verified = try fixture.verify(target)
        #expect(verified.ending == .exited(0), "\(verified.errors)")
        try fixture.onRecovered(target) { restored in
            let counts = try restored.psql("SELECT count(*), (SELECT count(*) FROM u) FROM t WHERE x <> 'later'")
            #expect(counts == "20000|0")
        }
        if checksums {
            // It requires a cluster that was shut down, as the recovered one was.
            let checked = try runAsServerUser(
                server.bin + "/pg_checksums", ["--check", "-D", target], expectSuccess: false)
            #expect(checked.ending == .exited(0), "\(checked.errors)")
        }
    }
}

import BaseBackup
import DataDirectory
import Glibc
import Platform
import Repository
import Support
import Synchronization
import Testing
import WAL

@Suite(.serialized) struct SourceServerTests {
    @Test func `a standby is as good a source as its primary`() throws {
        let fixture = try BackupFixture()
        try fixture.cluster.psql("CREATE TABLE t AS SELECT generate_series(1, 3000) i")
        let standby = fixture.scratch.file("standby")
        let bin = fixture.cluster.server.bin
        try runAsServerUser(
            bin + "/pg_basebackup",
            ["-h", fixture.cluster.directory, "-U", "postgres", "-D", standby, "-R", "-c", "fast", "-X", "stream"])
        try runAsServerUser(
            bin + "/pg_ctl",
            ["-D", standby, "-l", standby + "/log", "-o", "-c unix_socket_directories=\(standby)", "-w", "start"])
        defer {
            _ = try? runAsServerUser(bin + "/pg_ctl", ["-D", standby, "-m", "immediate", "stop"], expectSuccess: false)
        }
        // A primary at work ends its segments by itself.
        let isDone = Atomic<Bool>(false)
        let cluster = fixture.cluster
        let primary = try Worker {
            while !isDone.load(ordering: .relaxed) {
                _ = try? cluster.psql("INSERT INTO t VALUES (0); SELECT pg_switch_wal()")
                Clock.sleep(milliseconds: 200)
            }
        }
        defer { primary.join() }
        defer { isDone.store(true, ordering: .relaxed) }
        let backup = try fixture.takeBackup {
            $0.conninfo = "host=\(standby) user=postgres dbname=postgres"
            $0.dataDirectory = standby
        }
        #expect(backup.fromStandby)
        let target = fixture.scratch.file("restored")
        _ = try fixture.restore(backup, to: target)
        let verified = try fixture.verify(target)
        #expect(verified.ending == .exited(0), "\(verified.errors)")
        // The copy of a standby is a standby until told otherwise.
        try Files.remove(target + "/standby.signal")
        try fixture.onRecovered(target) { restored in
            let count = try restored.psql("SELECT count(*) FROM t WHERE i > 0")
            #expect(count == "3000")
        }
    }

    @Test func `an idle primary behind a standby is waited for, and the message says what to do`() throws {
        let fixture = try BackupFixture()
        let standby = fixture.scratch.file("standby")
        let bin = fixture.cluster.server.bin
        try runAsServerUser(
            bin + "/pg_basebackup",
            ["-h", fixture.cluster.directory, "-U", "postgres", "-D", standby, "-R", "-c", "fast", "-X", "stream"])
        try runAsServerUser(
            bin + "/pg_ctl",
            ["-D", standby, "-l", standby + "/log", "-o", "-c unix_socket_directories=\(standby)", "-w", "start"])
        defer {
            _ = try? runAsServerUser(bin + "/pg_ctl", ["-D", standby, "-m", "immediate", "stop"], expectSuccess: false)
        }
        try fixture.cluster.psql("CREATE TABLE t (i int); CHECKPOINT; INSERT INTO t VALUES (1)")
        let error = #expect(throws: (any Error).self) {
            try fixture.takeBackup {
                $0.conninfo = "host=\(standby) user=postgres dbname=postgres"
                $0.dataDirectory = standby
                $0.walTimeout = 1000
            }
        }
        #expect((error as? any Explained)?.message.contains("did not reach the repository") == true)
        #expect((error as? any Explained)?.hint?.contains("pg_switch_wal()") == true)
        #expect(try listBackups(of: fixture.incarnation, in: fixture.store).complete == [])
    }

    @Test func `tables and databases that come, go and move while they are copied do no harm`() throws {
        let fixture = try BackupFixture()
        try fixture.cluster.psql("CREATE TABLE kept AS SELECT i, md5(i::text) AS x FROM generate_series(1, 30000) i")
        let isDone = Atomic<Bool>(false)
        let cluster = fixture.cluster
        let unrest = try Worker {
            var round = 0
            while !isDone.load(ordering: .relaxed) {
                round += 1
                _ = try? cluster.psql("VACUUM FULL kept")
                _ = try? cluster.psql(
                    "CREATE TABLE r\(round) AS SELECT generate_series(1, 2000); TRUNCATE r\(round); DROP TABLE IF EXISTS r\(round - 1)"
                )
                _ = try? cluster.psql("CREATE DATABASE d\(round)")
                _ = try? cluster.psql("DROP DATABASE IF EXISTS d\(round - 1)")
                _ = try? cluster.psql("UPDATE kept SET x = x WHERE i % 10 = \(round % 10)")
            }
        }
        let backup: BackupDescription
        do {
            defer { unrest.join() }
            defer { isDone.store(true, ordering: .relaxed) }
            // Slow enough for several rounds of unrest.
            backup = try fixture.takeBackup { $0.rateLimit = 15 << 20 }
        }
        #expect(backup.corruptPages == [])
        let target = fixture.scratch.file("restored")
        _ = try fixture.restore(backup, to: target)
        let verified = try fixture.verify(target)
        #expect(verified.ending == .exited(0), "\(verified.errors)")
        try fixture.cluster.psql("SELECT pg_switch_wal()")
        try fixture.onRecovered(target) { restored in
            let count = try restored.psql("SELECT count(*) FROM kept WHERE x = md5(i::text)")
            #expect(count == "30000")
            let checked = try runAsServerUser(
                fixture.cluster.server.bin + "/pg_amcheck",
                ["-h", target, "-U", "postgres", "-d", "postgres", "--install-missing"], expectSuccess: false)
            #expect(checked.ending == .exited(0), "\(checked.output)\(checked.errors)")
        }
    }

    @Test func `a symlinked pg_wal and a cluster that allows group access are restored as they should be`() throws {
        let fixture = try BackupFixture(initdb: ["--data-checksums", "--allow-group-access"])
        try fixture.cluster.stop()
        let wal = fixture.cluster.directory + "/wal"
        try runAsServerUser("/bin/mv", [fixture.cluster.data + "/pg_wal", wal])
        try runAsServerUser("/bin/ln", ["-s", wal, fixture.cluster.data + "/pg_wal"])
        try fixture.cluster.start()
        let backup = try fixture.takeBackup()
        let target = fixture.scratch.file("restored")
        _ = try fixture.restore(backup, to: target)
        #expect(try FileStatus(ofLinkItself: target + "/pg_wal")?.kind == .directory)
        #expect(try FileStatus(of: target).mode == 0o750)
        #expect(try FileStatus(of: target + "/PG_VERSION").mode == 0o640)
        try fixture.onRecovered(target) { restored in
            let one = try restored.psql("SELECT 1")
            #expect(one == "1")
        }
    }

    @Test func `a repository that is full fails the backup, and the next one succeeds`() throws {
        let fixture = try BackupFixture()
        let packs = fixture.store.path(fixture.incarnation.packFolder)
        try Files.makeDirectories(packs)
        let mounted = try run("/bin/mount", ["-t", "tmpfs", "-o", "size=1m", "tmpfs", packs])
        try #require(mounted.ending == .exited(0), "\(mounted.errors)")
        var isMounted = true
        defer { if isMounted { _ = try? run("/bin/umount", [packs]) } }
        let error = #expect(throws: SystemError.self) { try fixture.takeBackup() }
        #expect(error?.code == ENOSPC)
        #expect(error?.hint?.contains("Free space") == true)
        #expect(try listBackups(of: fixture.incarnation, in: fixture.store).complete == [])
        _ = try run("/bin/umount", [packs])
        isMounted = false
        _ = try fixture.takeBackup()
    }
}

import BackupTaking
import BackupVerification
import Backups
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
        let fixture = try BackupFixture(initdb: ["--data-checksums", "--wal-segsize=1"])
        try fixture.cluster.psql("CREATE TABLE t AS SELECT generate_series(1, 3000) i")
        let standby = fixture.scratch.file("standby")
        try fixture.cluster.startStandby(at: standby)
        defer { fixture.cluster.stopStandby(at: standby) }
        // A busy primary ends its segments by itself.
        let isDone = Atomic<Bool>(false)
        let cluster = fixture.cluster
        let primary = try Worker {
            while !isDone.load(ordering: .relaxed) {
                _ = try? cluster.psql("INSERT INTO t VALUES (0); SELECT pg_switch_wal()")
                Clock.sleep(milliseconds: 200)
            }
        }
        let backup: BackupDescription
        do {
            defer { primary.join() }
            defer { isDone.store(true, ordering: .relaxed) }
            backup = try fixture.takeBackup {
                $0.conninfo = "host=\(standby) user=postgres dbname=postgres"
                $0.dataDirectory = standby
            }
        }
        #expect(backup.fromStandby)
        let target = fixture.scratch.file("restored")
        _ = try fixture.restore(backup, to: target)
        let verified = try fixture.verify(target)
        #expect(verified.ending == .exited(0), "\(verified.errors)")
        // The copy of a standby is a standby unless configured otherwise.
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
        try fixture.cluster.startStandby(at: standby)
        defer { fixture.cluster.stopStandby(at: standby) }
        try fixture.cluster.psql("CREATE TABLE t (i int); CHECKPOINT; INSERT INTO t VALUES (1)")
        // Otherwise the backup may begin at the previous checkpoint, whose segment is archived.
        let written = try fixture.cluster.psql("SELECT pg_current_wal_lsn()")
        try fixture.cluster.wait(for: "the standby") {
            try runAsServerUser(
                bin + "/psql",
                [
                    "-h", standby, "-U", "postgres", "-d", "postgres", "-XAtqc",
                    "SELECT pg_last_wal_replay_lsn() >= '\(written)'",
                ]
            ).output == "t\n"
        }
        let error = #expect(throws: (any Error).self) {
            try fixture.takeBackup {
                $0.conninfo = "host=\(standby) user=postgres dbname=postgres"
                $0.dataDirectory = standby
                $0.walTimeout = 1000
            }
        }
        #expect((error as? any Explained)?.message.contains("did not reach the repository") == true)
        #expect((error as? any Explained)?.hint?.contains("pg_switch_wal()") == true)
        #expect(try fixture.archive.listBackups().complete == [])
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

    @Test func `a name that is not UTF-8 is never passed over in silence`() throws {
        let site = try TestSite()
        let script = """
            touch "$1/na$(printf '\\351')ve" && ln -s "$(printf '/no/caf\\351')" "$1/pg_tblspc/99999"
            """
        try runAsServerUser("/bin/sh", ["-c", script, "sh", site.cluster.data])
        // No Swift string has this name.
        defer { _ = try? runAsServerUser("/bin/sh", ["-c", "rm \"$1\"/na*ve", "sh", site.cluster.data]) }
        let tablespace = site.cluster.data + "/pg_tblspc/99999"
        let refused = try site.tidemark(["backup"])
        #expect(refused.ending == .exited(1))
        let reason = "could not read symbolic link \"\(tablespace)\""
        #expect(refused.errors.contains(reason), "\(refused.errors)")
        try Files.remove(tablespace)
        let taken = try site.tidemark(["backup"], expectSuccess: true)
        #expect(taken.errors.contains("WARNING:") && taken.errors.contains("na\u{FFFD}ve\", whose name is not UTF-8"))
    }

    @Test func `a lack of space for temporary files is reported briefly`() throws {
        let site = try TestSite()
        let full = try Scratch()
        let mounted = try run("/bin/mount", ["-t", "tmpfs", "-o", "size=4k,mode=0777", "tidemark-test", full.path])
        try #require(mounted.ending == .exited(0), "\(mounted.errors)")
        defer { _ = try? run("/bin/umount", ["-l", full.path]) }
        let failed = try site.tidemark(["backup"], environment: ["TMPDIR": full.path])
        #expect(failed.ending == .exited(1) && failed.errors.contains(full.path), "\(failed.errors)")
        #expect(failed.errors.contains("HINT:  Free space on the file system that holds it"), "\(failed.errors)")
        #expect(failed.errors.utf8.count < 1000, "\(failed.errors)")
        try site.tidemark(["backup"], expectSuccess: true)
    }

    @Test func `a repository that is full fails the backup, and the next one succeeds`() throws {
        let fixture = try BackupFixture()
        let packs = fixture.store.path(fixture.incarnation.packFolder)
        try Files.makeDirectories(packs)
        let mounted = try run("/bin/mount", ["-t", "tmpfs", "-o", "size=1m", "tmpfs", packs])
        try #require(mounted.ending == .exited(0), "\(mounted.errors)")
        var isMounted = true
        defer { if isMounted { _ = try? run("/bin/umount", ["-l", packs]) } }
        let error = #expect(throws: SystemError.self) { try fixture.takeBackup() }
        #expect(error?.code == ENOSPC)
        #expect(error?.hint?.contains("Free space") == true)
        #expect(try fixture.archive.listBackups().complete == [])
        _ = try run("/bin/umount", ["-l", packs])
        isMounted = false
        _ = try fixture.takeBackup()
    }

    @Test func `a backup leaves in the page cache what the server has there, and nothing else`() throws {
        let fixture = try BackupFixture(in: TestPlace.onDisk)
        for table in ["used", "unused"] {
            try fixture.cluster.psql(
                "CREATE TABLE \(table) AS SELECT i, md5(i::text) FROM generate_series(1, 200000) i")
            try fixture.cluster.psql("VACUUM \(table)")
        }
        try fixture.cluster.psql("CHECKPOINT")
        let paths = try ["used", "unused"].map { table in
            try fixture.cluster.data + "/" + fixture.cluster.psql("SELECT pg_relation_filepath('\(table)')")
        }
        // The kernel may evict pages at any time: this counts only if it left two files alone that no backup reads, one
        // read before and one after those of the server.
        let scratch = try Scratch(in: TestPlace.onDisk)
        let controls = ["before", "after"].map(scratch.file)
        for control in controls { _ = try run("/bin/cp", [paths[0], control]) }
        let files = paths + controls
        let size = 12 << 20
        func cached(_ path: String) throws -> Int {
            let file = try Descriptor(open: path, O_RDONLY)
            let bytes = file.cachedBytes(at: 0, count: size)
            return try #require(bytes)
        }
        var backup: BackupDescription?
        for _ in 1...30 where backup == nil {
            _ = try run("/usr/bin/cksum", [controls[0]] + paths + [controls[1]])
            do {
                let unused = try Descriptor(open: paths[1], O_RDONLY)
                try unused.synchronize(path: paths[1])
                unused.dropCached(at: 0, count: 0)
            }
            let before = try files.map(cached)
            let taken = try fixture.takeBackup()
            let after = try files.map(cached)
            print("cached before \(before), after \(after)")
            guard before[0] == size, before[1] < 1 << 20, after[2] == size, after[3] == size else { continue }
            // A few pages may have been evicted all the same.
            #expect(after[0] > size / 8 * 7 && after[1] < size / 4, "\(before), \(after)")
            backup = taken
        }
        let taken = try #require(backup, "the kernel never left the page cache alone")
        let verified = try verifyBackup(taken, of: fixture.archive, request: VerifyRequest(jobs: 2))
        #expect(verified.problems == [])
    }

    @Test func `the manifest being made lies in TMPDIR, without a name`() throws {
        let site = try TestSite(initdb: ["--wal-segsize=1"])
        let place = try Scratch()
        chmod(place.path, 0o777)
        let script = """
            ls -A "\(place.path)" | sed 's/^/named /' >&2
            echo "nameless $(ls -l /proc/$process/fd | grep -F '\(place.path)/' | grep -c '(deleted)')" >&2
            """
        let finished = try Gate(at: "read:/base/").run(
            Executables.directory.get() + "/tidemark-main", ["backup"],
            environment: ["TIDEMARK_CONFIG": site.configuration, "TMPDIR": place.path], meanwhile: script)
        #expect(finished.ending == .exited(0), "\(finished.errors)")
        #expect(finished.errors.contains(/nameless [1-9]/) && !finished.errors.contains("named "), "\(finished.errors)")
    }
}

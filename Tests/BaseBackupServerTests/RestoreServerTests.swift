import Backups
import DataDirectory
import Glibc
import Platform
import Repository
import Restoring
import Support
import Testing
import WAL

@Suite(.serialized) struct RestoreServerTests {
    @Test func `tablespaces go where the mapping says`() throws {
        let fixture = try BackupFixture()
        let place = fixture.cluster.directory + "/space"
        try runAsServerUser("/bin/mkdir", [place])
        try fixture.cluster.psql("CREATE TABLESPACE space LOCATION '\(place)'")
        try fixture.cluster.psql("CREATE TABLE s TABLESPACE space AS SELECT generate_series(1, 5000) i")
        let backup = try fixture.takeBackup()
        #expect(backup.tablespaces.map(\.name) == ["space"])
        #expect(backup.tablespaces[0].location == place && backup.tablespaces[0].size > 100_000)
        let target = fixture.scratch.file("restored")
        #expect(throws: TargetInUse.self) { try fixture.restore(backup, to: target) }
        #expect(throws: Problem.self) { try fixture.restore(backup, to: target, mapping: ["/elsewhere": "/x"]) }
        let new = fixture.scratch.file("space")
        _ = try fixture.restore(backup, to: target, mapping: [place: new])
        _ = try run("/bin/chown", ["-R", "postgres", new])
        let verified = try fixture.verify(target)
        #expect(verified.ending == .exited(0), "\(verified.errors)")
        try fixture.onRecovered(target) { restored in
            let count = try restored.psql("SELECT count(*) FROM s")
            let location = try restored.psql(
                "SELECT pg_tablespace_location(oid) FROM pg_tablespace WHERE spcname = 'space'")
            #expect(count == "5000")
            #expect(location == new)
        }
        // Once more, over what the recovered server changed.
        let delta = try fixture.restore(backup, to: target, mapping: [place: new], delta: true)
        #expect(delta.written < backup.size / 2 && delta.removed > 0)
        let again = try fixture.verify(target)
        #expect(again.ending == .exited(0), "\(again.errors)")
    }

    @Test func `a delta restore rewrites what differs and removes other files`() throws {
        let fixture = try BackupFixture()
        try fixture.cluster.psql(
            "CREATE TABLE t AS SELECT i, repeat(md5(i::text), 10) FROM generate_series(1, 20000) i")
        let backup = try fixture.takeBackup()
        let target = fixture.scratch.file("restored")
        let fresh = try fixture.restore(backup, to: target)
        #expect(throws: TargetInUse.self) { try fixture.restore(backup, to: target) }
        let untouched = try fixture.restore(backup, to: target, delta: true)
        #expect(untouched.written < fresh.written / 20)
        let table = target + "/" + (try fixture.cluster.psql("SELECT pg_relation_filepath('t')"))
        let file = try Descriptor(open: table, O_RDWR)
        try [UInt8](repeating: 7, count: 100).withUnsafeBytes { try file.write($0, at: 3_000_000, path: table) }
        try Files.remove(target + "/PG_VERSION")
        try createDurably(target + "/base/stranger", bytes: [1])
        try Files.makeDirectories(target + "/strangers/deep")
        let repaired = try fixture.restore(backup, to: target, delta: true)
        #expect(repaired.removed == 2)
        #expect(repaired.written >= 1 << 20 && repaired.written < 3 << 20)
        let verified = try fixture.verify(target)
        #expect(verified.ending == .exited(0), "\(verified.errors)")
    }

    @Test func `a directory that is not this cluster's is never touched`() throws {
        let fixture = try BackupFixture()
        let backup = try fixture.takeBackup()
        let other = try TestCluster(start: false)
        let file = fixture.scratch.file("file")
        try createDurably(file, bytes: [1])
        // Another cluster's backup of the same label, half restored.
        let half = fixture.scratch.file("half")
        try Files.makeDirectories(half)
        try createDurably(half + "/tidemark.restoring", bytes: Array("\(backup.label)\n7\n".utf8))
        for (path, delta) in [
            (fixture.cluster.data, true), (fixture.cluster.data, false), (other.data, true), (file, false),
            (half, true), (half, false),
        ] {
            #expect(throws: TargetInUse.self, "\(path)") { try fixture.restore(backup, to: path, delta: delta) }
        }
        #expect(try fixture.cluster.psql("SELECT 1") == "1")
    }

    @Test func `an interrupted restore can't be started, and converges when repeated`() throws {
        let fixture = try BackupFixture()
        let backup = try fixture.takeBackup()
        let pack = fixture.store.path(fixture.incarnation.pack(backup.label, 1))
        let target = fixture.scratch.file("restored")
        try Files.rename(pack, to: pack + ".away")
        #expect(throws: (any Error).self) { try fixture.restore(backup, to: target) }
        #expect(!(try Files.exists(target + "/global/pg_control")))
        try Files.rename(pack + ".away", to: pack)
        _ = try fixture.restore(backup, to: target)
        let verified = try fixture.verify(target)
        #expect(verified.ending == .exited(0), "\(verified.errors)")
    }

    @Test func `a relation of more than a gigabyte comes back from both of its files`() throws {
        let fixture = try BackupFixture()
        let path = try fixture.cluster.psql("CREATE TABLE big (i int, x text); SELECT pg_relation_filepath('big')")
        try fixture.cluster.stop()
        // Zeros are pages that were never used; the server continues after them, in a second file.
        let file = fixture.cluster.data + "/" + path
        try runAsServerUser("/usr/bin/truncate", ["-s", "1G", file])
        try fixture.cluster.start()
        try fixture.cluster.psql(
            "INSERT INTO big SELECT i, repeat('x', 500) FROM generate_series(1, 1000) i; CHECKPOINT")
        #expect(try FileStatus(of: file + ".1").size > 400_000)
        let backup = try fixture.takeBackup()
        #expect(backup.corruptPages == [] && backup.size > 1 << 30 && backup.storedSize < 10 << 20)
        let target = fixture.scratch.file("restored")
        _ = try fixture.restore(backup, to: target)
        let verified = try fixture.verify(target)
        #expect(verified.ending == .exited(0), "\(verified.errors)")
        try fixture.onRecovered(target) { restored in
            let rows = try restored.psql("SELECT count(*), min(length(x)), max(ctid) > '(131072,1)' FROM big")
            #expect(rows == "1000|500|t")
        }
        // Blocks are counted through both files.
        try fixture.cluster.stop()
        let second = try Descriptor(open: file + ".1", O_RDWR)
        try [UInt8](repeating: 7, count: 4).withUnsafeBytes { try second.write($0, at: 3 * 8192 + 5000, path: file) }
        try fixture.cluster.start()
        let damaged = try fixture.takeBackup()
        #expect(
            damaged.corruptPages == [CorruptPage(path: path + ".1", block: 131_075, relation: "postgres.public.big")])
    }

    @Test func `zeros take no space, neither stored nor restored`() throws {
        let fixture = try BackupFixture()
        // A page that was never initialised is zeros; a crash while a relation grew leaves many.
        let path = try fixture.cluster.psql(
            "CREATE TABLE z (i int); SELECT pg_relation_filepath('z')")
        try fixture.cluster.stop()
        let file = fixture.cluster.data + "/" + path
        try runAsServerUser("/usr/bin/truncate", ["-s", "40M", file])
        try fixture.cluster.start()
        let backup = try fixture.takeBackup()
        #expect(backup.corruptPages == [])
        let target = fixture.scratch.file("restored")
        let report = try fixture.restore(backup, to: target)
        #expect(report.written < backup.size - (39 << 20))
        let blocks = try run("/usr/bin/stat", ["-c", "%b %s", target + "/" + path]).output.split(separator: " ")
        #expect(Int(blocks[0])! < 100 && blocks[1] == "\(40 << 20)\n")
        let verified = try fixture.verify(target)
        #expect(verified.ending == .exited(0), "\(verified.errors)")
    }
}

import BackupTaking
import BackupVerification
import Backups
import DataDirectory
import Expiring
import Glibc
import Platform
import Repository
import Retention
import Support
import Testing
import WAL

@Suite(.serialized) struct LifecycleServerTests {
    @Test func `expire removes what no rule keeps, and the rest can be restored`() throws {
        let fixture = try BackupFixture()
        try fixture.cluster.psql("CREATE TABLE t AS SELECT generate_series(1, 1000) i")
        let backups = try (0..<3).map { _ in try fixture.takeBackup() }
        #expect(Set(backups.map(\.label)).count == 3)
        // Leftovers of a killed backup: packs, a temporary, no backup.json.
        let remains = fixture.store.path(fixture.incarnation.packFolder("20200101T000000Z-full"))
        try Files.makeDirectories(remains)
        try createDurably(remains + "/000001", bytes: [1, 2, 3])
        try createDurably(remains + "/.000002.77.aa.tmp", bytes: [1])
        // A timeline that was left long ago: its WAL is removed, its history stays.
        let (old, history) = (TimelineID(2), Array("1\t0/1000000\tlong ago\n".utf8))
        try fixture.store.createFile(fixture.incarnation.history(old), bytes: history)
        var policy = RetentionPolicy()
        policy.keepFull = 1
        let dry = try expireBackups(of: fixture.archive, policy: policy, dryRun: true)
        #expect(dry.decision.expired == [backups[0].label, backups[1].label])
        #expect(dry.freed > 0 && !dry.segments.isEmpty)
        #expect(try fixture.archive.listBackups().complete.count == 3)
        let report = try expireBackups(of: fixture.archive, policy: policy, dryRun: false)
        #expect(report.failures == [])
        #expect(report.segments == dry.segments)
        let listing = try fixture.archive.listBackups()
        #expect(listing.complete == [backups[2]])
        #expect(listing.incomplete == [])
        #expect(!(try Files.exists(remains)))
        let first = try fixture.archive.segments(timeline: TimelineID(1)).first
        #expect(first == backups[2].startSegment)
        #expect(try fixture.archive.history(old) == history)
        // It isn't a history of this server's, whose recovery would follow it.
        try fixture.store.remove(fixture.incarnation.history(old))
        let verified = try verifyBackup(backups[2], of: fixture.archive, request: VerifyRequest(jobs: 2))
        #expect(verified.problems == [])
        let target = fixture.scratch.file("restored")
        _ = try fixture.restore(backups[2], to: target)
        try fixture.onRecovered(target) { restored in
            let count = try restored.psql("SELECT count(*) FROM t")
            #expect(count == "1000")
        }
    }

    @Test func `a backup that is being read is not expired`() throws {
        let fixture = try BackupFixture()
        let backups = try (0..<2).map { _ in try fixture.takeBackup() }
        var policy = RetentionPolicy()
        policy.keepFull = 1
        do {
            let lease = try BackupLease(backups[0].label, of: fixture.archive)
            let report = try expireBackups(of: fixture.archive, policy: policy, dryRun: false)
            #expect(report.decision.expired == [])
            withExtendedLifetime(lease) {}
        }
        let report = try expireBackups(of: fixture.archive, policy: policy, dryRun: false)
        #expect(report.decision.expired == [backups[0].label])
    }

    @Test func `an expiry ended before any of its steps leaves whole backups, and the next one continues`() throws {
        struct Ended: Error {}
        let fixture = try BackupFixture()
        let backups = try (0..<3).map { _ in
            try fixture.cluster.psql("select pg_switch_wal()")
            return try fixture.takeBackup()
        }
        var policy = RetentionPolicy()
        policy.keepFull = 1
        var rounds = 0
        var isDone = false
        repeat {
            rounds += 1
            // Before it begins, before the first step, and then not any more.
            var asked = 0
            do {
                _ = try expireBackups(of: fixture.archive, policy: policy, dryRun: false) {
                    asked += 1
                    if asked > 2 { throw Ended() }
                }
                isDone = true
            } catch is Ended {}
            let left = try fixture.archive.listBackups()
            #expect(left.complete.last?.label == backups[2].label && left.unreadable.isEmpty)
            for backup in left.complete {
                let found = try verifyBackup(backup, of: fixture.archive, request: VerifyRequest(jobs: 2))
                #expect(found.problems == [], "round \(rounds), \(backup.label)")
            }
        } while !isDone && rounds < 20
        // Two backups, and the WAL before the third.
        #expect(isDone && rounds > 2, "\(rounds)")
        #expect(try fixture.archive.listBackups().all.map(\.label) == [backups[2].label])
    }

    @Test func `one backup at a time, and a dead process holds no lock`() throws {
        let fixture = try BackupFixture()
        do {
            let lock = try BackupLock(fixture.archive)
            #expect(throws: BackupInProgress.self) { try fixture.takeBackup() }
            #expect(throws: BackupInProgress.self) {
                try expireBackups(of: fixture.archive, policy: RetentionPolicy(), dryRun: false)
            }
            withExtendedLifetime(lock) {}
        }
        _ = try fixture.takeBackup()
    }

    @Test func `a resumed backup uses the frames of the one that died`() throws {
        let fixture = try BackupFixture()
        try fixture.cluster.psql(
            "CREATE TABLE t AS SELECT i, md5(i::text) FROM generate_series(1, 50000) i; CHECKPOINT")
        let first = try fixture.takeBackup { $0.packSize = 1 << 20 }
        // As if it had died before its manifest.
        try Files.removeTree(fixture.store.path(fixture.incarnation.backupFolder(first.label)))
        #expect(try fixture.archive.listBackups().incomplete == [first.label])
        let second = try fixture.takeBackup { $0.resumes = true }
        #expect(second.packs.map(\.label) == [second.label, first.label])
        #expect(second.storedSize < first.storedSize / 3)
        let report = try verifyBackup(second, of: fixture.archive, request: VerifyRequest(jobs: 2))
        #expect(report.problems == [])
        // The packs it refers to outlive an expiry, and no others.
        let needed = try #require(second.packs.last)
        let stored = try fixture.archive.store.list(fixture.incarnation.packFolder(first.label))
        #expect(stored.count > needed.count && needed.count > 0)
        var policy = RetentionPolicy()
        policy.keepFull = 1
        let expired = try expireBackups(of: fixture.archive, policy: policy, dryRun: false)
        let left = try fixture.archive.store.list(fixture.incarnation.packFolder(first.label))
        #expect(left.compactMap { Int($0.name) } == needed.ranges.flatMap { Array($0) })
        #expect(left.reduce(0) { $0 + ($1.size ?? 0) } == needed.size && needed.live < needed.size)
        #expect(expired.sparePacks.count == stored.count - needed.count)
        let target = fixture.scratch.file("restored")
        _ = try fixture.restore(second, to: target)
        let verified = try fixture.verify(target)
        #expect(verified.ending == .exited(0), "\(verified.errors)")
        #expect(try fixture.archive.listBackups().incomplete == [])
    }

    @Test func `a resumed backup uses nothing of a damaged pack`() throws {
        let fixture = try BackupFixture()
        try fixture.cluster.psql(
            "CREATE TABLE t AS SELECT i, md5(i::text) FROM generate_series(1, 50000) i; CHECKPOINT")
        let first = try fixture.takeBackup { $0.packSize = 1 << 20 }
        try Files.removeTree(fixture.store.path(fixture.incarnation.backupFolder(first.label)))
        // Its index is intact, and so are the other frames.
        let damaged = fixture.store.path(fixture.incarnation.pack(first.label, 2))
        var bytes = try Files.read(damaged, limit: 1 << 30)
        bytes[bytes.count / 2] ^= 1
        try replaceDurably(damaged, bytes: bytes)
        let second = try fixture.takeBackup { $0.resumes = true }
        let needed = try #require(second.packs.last)
        #expect(needed.label == first.label && !needed.ranges.contains { $0.contains(2) }, "\(needed)")
        let report = try verifyBackup(second, of: fixture.archive, request: VerifyRequest(jobs: 2))
        #expect(report.problems == [])
    }

    @Test func `a resumed backup uses the good frames of a pack that was never finished`() throws {
        let fixture = try BackupFixture()
        try fixture.cluster.psql(
            "CREATE TABLE t AS SELECT i, md5(i::text) FROM generate_series(1, 100000) i; CHECKPOINT")
        let plain = try fixture.takeBackup { $0.compressLevel = -20 }
        // The higher level shows which frames are reused.
        let first = try fixture.takeBackup {
            $0.compressLevel = 3
            $0.jobs = 1
        }
        #expect(first.storedSize < plain.storedSize * 9 / 10)
        // As if it had been killed within its only large pack, in the middle of a frame.
        let pack = fixture.store.path(fixture.incarnation.pack(first.label, 1))
        let size = try FileStatus(of: pack).size
        let nobody = temporaryName(for: pack).replacing("-\(getpid()).", with: "-99999999.")
        try Files.rename(pack, to: nobody)
        try Descriptor(open: nobody, O_RDWR).truncate(to: size - size / 8, path: nobody)
        try Files.removeTree(fixture.store.path(fixture.incarnation.backupFolder(first.label)))
        #expect(try fixture.archive.listBackups().incomplete == [first.label])
        // Its bytes are reported, although no listing of the repository shows them.
        let left = try FileStatus(of: nobody).size
        let report = try storageReport(of: fixture.archive, policy: RetentionPolicy())
        #expect(try #require(report.backups.first { $0.label == first.label }).stored >= left)
        #expect(report.wouldFree >= left)
        let second = try fixture.takeBackup {
            $0.compressLevel = -20
            $0.resumes = true
        }
        #expect(second.packs.map(\.label) == [second.label])
        let gain = plain.storedSize - first.storedSize
        #expect(second.storedSize < plain.storedSize - gain / 2 && second.storedSize > first.storedSize)
        // The copied frames don't need the dead backup any more.
        _ = try expireBackups(of: fixture.archive, policy: RetentionPolicy(), dryRun: false)
        #expect(!(try Files.exists(Files.parent(nobody))))
        let verification = try verifyBackup(second, of: fixture.archive, request: VerifyRequest(jobs: 2))
        #expect(verification.problems == [])
        let target = fixture.scratch.file("restored")
        _ = try fixture.restore(second, to: target)
        let verified = try fixture.verify(target)
        #expect(verified.ending == .exited(0), "\(verified.errors)")
    }

    @Test func `a killed backup is not listed and the next one succeeds`() throws {
        let site = try TestSite()
        try site.cluster.psql("CREATE TABLE t AS SELECT i, md5(i::text) FROM generate_series(1, 100000) i")
        let killed = try site.tidemark(["backup"], environment: ["TIDEMARK_FAULT": "rename:2=kill"])
        #expect(killed.errors.contains("fault: killed"), "\(killed.errors)")
        #expect(try site.tidemark(["list"], expectSuccess: true).output.contains("is not complete"))
        try site.tidemark(["backup", "--resume"], expectSuccess: true)
        try site.tidemark(["verify"], expectSuccess: true)
        try site.tidemark(["expire"], expectSuccess: true)
        #expect(try site.tidemark(["list"], expectSuccess: true).output.contains("-full | full | "))
    }

    /// Two commands of one cluster, the first held in the middle.
    @Test(arguments: [
        (["backup", "--no-expire"], "open:/pack/*/.000001."), (["expire", "--keep-full", "1"], "unlink:backup.json"),
    ])
    func `a backup and an expiration exclude each other with status 5`(first: [String], gate: String) throws {
        let site = try TestSite(initdb: ["--wal-segsize=1"])
        for _ in 1...2 { try site.tidemark(["backup", "--no-expire"], expectSuccess: true) }
        let before = try site.backupLabels()
        let program = try Executables.directory.get() + "/tidemark-main"
        let others = [["backup"], ["backup", "--resume"], ["expire", "--keep-full", "1"]]
        let script = others.map { "\(program) \($0.joined(separator: " ")); echo \"status $?\" >&2" }
        let finished = try Gate(at: gate).run(
            program, first, environment: ["TIDEMARK_CONFIG": site.configuration],
            meanwhile: (["unset TIDEMARK_FAULT"] + script).joined(separator: "\n"))
        #expect(finished.ending == .exited(0), "\(finished.errors)")
        let statuses = finished.errors.split(separator: "\n").filter { $0.hasPrefix("status ") }
        #expect(statuses == ["status 5", "status 5", "status 5"], "\(finished.errors)")
        let after = try site.backupLabels()
        #expect(first[0] == "backup" ? after.isSuperset(of: before) && after.count == 3 : after.count == 1, "\(after)")
        try site.tidemark(["backup"], expectSuccess: true)
        try site.tidemark(["verify"], expectSuccess: true)
    }
}

import Backups
import Glibc
import Platform
import Repository
import Support
import Synchronization
import Testing

/// A backup that is being read is not expired.
@Suite(.serialized) struct LeaseTests {
    @Test func `expire leaves a backup alone, and its WAL, until the recovery from it is done`() throws {
        let site = try TestSite(initdb: ["--wal-segsize=1"])
        try site.cluster.psql("CREATE TABLE t (i int)")
        try site.tidemark(["backup", "--no-expire"], expectSuccess: true)
        try site.cluster.psql("INSERT INTO t VALUES (1); SELECT pg_switch_wal(); INSERT INTO t VALUES (2)")
        let target = try site.cluster.psql("SELECT pg_current_wal_insert_lsn()")
        try site.cluster.psql("INSERT INTO t VALUES (3)")
        try site.archiveEverything()
        try site.tidemark(["backup", "--no-expire"], expectSuccess: true)
        // Replay waits for its first file.
        let gate = try Gate(at: "restore_command")
        let get = "\(try Executables.tidemark()) archive-get --config \(site.configuration) --cluster main %f %p"
        let command = try gate.restoreCommand(get, after: 0)
        let copy = site.scratch.file("copy")
        let recovery = try Worker {
            _ = try? site.tidemark([
                "recover", "--target-lsn", target, "--data-directory", copy, "--start", "--yes",
                "--set", "restore_command=\(command)",
            ])
        }
        defer {
            try? gate.open()
            recovery.join()
            _ = try? runAsServerUser(
                site.cluster.server.bin + "/pg_ctl", ["-D", copy, "-m", "immediate", "stop"], expectSuccess: false)
        }
        try gate.waitUntilReached()
        let during = try site.tidemark(["expire", "--keep-full", "1"], expectSuccess: true).output
        #expect(during.contains("in use by a restore or verification"), "\(during)")
        #expect(!during.contains("no rule keeps it any longer"), "\(during)")
        let first = try #require(site.backupLabels().min())
        for force in [[], ["--force"]] {
            let refused = try site.tidemark(["remove", first, "--yes"] + force)
            #expect(refused.ending == .exited(1), "\(refused)")
            #expect(refused.errors.contains("A restore or a verification reads it at this moment."), "\(refused)")
        }
        #expect(try site.backupLabels().count == 2)
        try gate.open()
        recovery.join()
        let rows = try runAsServerUser(
            site.cluster.server.bin + "/psql",
            ["-h", copy, "-U", "postgres", "-d", "postgres", "-XAtqc", "SELECT string_agg(i::text, ',') FROM t"])
        #expect(rows.output == "1,2\n")
        let after = try site.tidemark(["expire", "--keep-full", "1"], expectSuccess: true).output
        #expect(after.contains("no rule keeps it any longer") && after.contains("WAL removed: "), "\(after)")
    }

    @Test func `expire leaves a backup alone until its verification is done`() throws {
        let site = try TestSite(initdb: ["--wal-segsize=1"])
        for _ in 1...2 { try site.tidemark(["backup", "--no-expire"], expectSuccess: true) }
        let labels = try site.backupLabels().sorted()
        let program = try Executables.directory.get() + "/tidemark-main"
        let verified = try Gate(at: "open:/pack/\(labels[0])").run(
            program, ["verify", labels[0]], environment: ["TIDEMARK_CONFIG": site.configuration],
            meanwhile: "env -u TIDEMARK_FAULT \(program) expire --keep-full 1 | sed 's/^/expire: /'")
        #expect(verified.ending == .exited(0), "\(verified)")
        let said = "expire: backup \(labels[0]) kept: in use by a restore or verification"
        #expect(verified.output.contains(said), "\(verified)")
        try site.tidemark(["expire", "--keep-full", "1"], expectSuccess: true)
        #expect(try site.backupLabels() == [labels[1]])
    }

    @Test func `a reader of a backup waits for an expiration, and then finds the backup gone`() throws {
        let fixture = try BackupFixture()
        let backup = try fixture.takeBackup()
        let folder = fixture.store.path(fixture.incarnation.backupFolder(backup.label))
        let bar = try Descriptor(open: folder + "/.lease", O_RDWR | O_CREAT)
        let isBarred = try bar.tryLock(path: folder)
        #expect(isBarred)
        #expect(throws: BackupInProgress.self) {
            try BackupLease(backup.label, of: fixture.archive, patience: 100)
        }
        let seen = Mutex<String>("")
        let reader = try Worker { [archive = fixture.archive] in
            do { _ = try BackupLease(backup.label, of: archive) } catch {
                seen.withLock { $0 = (error as? any Explained)?.message ?? "\(error)" }
            }
        }
        try Files.removeTree(folder)
        _ = consume bar
        reader.join()
        #expect(seen.withLock { $0 }.contains("has no complete backup"))
    }
}

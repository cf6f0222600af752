import Glibc
import Platform
import Repository
import Support
import Testing
import WAL

/// The contracts as PostgreSQL itself sees them.
@Suite(.serialized) struct InsidePostgresServerTests {
    private static let small = ["--wal-segsize=1"]

    @Test(arguments: TestServer.allCases)
    func `a server archives and a recovery reads it back`(_ server: TestServer) throws {
        let site = try TestSite(server, initdb: Self.small)
        let base = try copyOfDataDirectory(site)
        try site.cluster.psql("create table t as select g from generate_series(1, 20000) g")
        let sum = try site.cluster.psql("select sum(g) from t")
        try site.archiveEverything()
        try site.cluster.stop()

        let recovered = try recover(base, site)
        defer { try? recovered.stop() }
        try recovered.start()
        #expect(try recovered.psql("select sum(g) from t") == sum)
        #expect(try recovered.psql("select left(pg_walfile_name(pg_current_wal_lsn()), 8)") == "00000002")
    }

    @Test func `a repository that is away for a moment stops no recovery, one that stays away does`() throws {
        let site = try TestSite(initdb: Self.small, configuration: ["get_retry_timeout = 0"])
        let base = try copyOfDataDirectory(site)
        try site.cluster.psql("create table t as select g from generate_series(1, 20000) g")
        try site.archiveEverything()
        try site.cluster.stop()
        #expect(rename(site.repository, site.repository + ".away") == 0)

        let recovered = try recover(base, site)
        let text = try Files.readText(site.configuration)
        func configure(_ line: String) throws {
            let changed = text.replacing("get_retry_timeout = 0", with: line)
            try replaceDurably(site.configuration, bytes: Array(changed.utf8), mode: 0o644)
        }
        for (line, says) in [("get_retry_timeout = 0", nil), ("get_retry_timeout = 8s", "for up to 8.0 s")] {
            try configure(line)
            try recovered.startExpectingFailure()
            let log = try Files.readText(recovered.logFile)
            #expect(log.contains("is tried again \(says ?? "")") == (says != nil), "\(line): \(log)")
            #expect(log.contains("child process exited with exit code 200"))
            #expect(!log.contains("database system is ready to accept connections"))
        }
        try configure("")
        let back = """
            (until grep -q 'is tried again for up to 1 min' '\(recovered.logFile)'; do sleep 0.1; done
            mv '\(site.repository).away' '\(site.repository)') >/dev/null 2>&1 &
            """
        #expect(try run("/bin/sh", ["-c", back]).ending == .exited(0))
        defer { try? recovered.stop() }
        try recovered.start()
        #expect(try recovered.psql("select count(*) from t") == "20000")
    }

    @Test func `a damaged segment stops a recovery instead of ending it`() throws {
        let site = try TestSite(initdb: Self.small)
        let base = try copyOfDataDirectory(site)
        try site.cluster.psql("create table t as select g from generate_series(1, 40000) g")
        try site.archiveEverything()
        try site.cluster.stop()
        let incarnation = try site.incarnation()
        let store = DirectoryStore(site.repository)
        let segments = try ClusterArchive(incarnation, in: store).segments(timeline: TimelineID(1))
        let victim = store.path(incarnation.segment(segments[segments.count / 2]))
        var bytes = try Files.read(victim)
        bytes[bytes.count / 2] ^= 1
        try replaceDurably(victim, bytes: bytes)
        if geteuid() == 0 { _ = try run("/bin/chown", ["postgres:", victim]) }

        let recovered = try recover(base, site)
        try recovered.startExpectingFailure()
        let log = try Files.readText(recovered.logFile)
        #expect(log.contains("of the repository is damaged"))
        #expect(!log.contains("is tried again"))
        #expect(
            log.contains(
                "could not restore file \"\(segments[segments.count / 2])\" from archive: child process exited with exit code 200"
            ))
        #expect(!log.contains("database system is ready to accept connections"))

        // With the intact object in place, the same recovery continues to the end.
        bytes[bytes.count / 2] ^= 1
        try replaceDurably(victim, bytes: bytes)
        if geteuid() == 0 { _ = try run("/bin/chown", ["postgres:", victim]) }
        defer { try? recovered.stop() }
        try recovered.start()
        #expect(try recovered.psql("select count(*) from t") == "40000")
    }

    @Test func `a repository that vanishes and comes back stops nothing for good`() throws {
        let site = try TestSite(initdb: Self.small)
        try site.archiveEverything()
        #expect(rename(site.repository, site.repository + ".away") == 0)
        try site.cluster.psql("create table t as select g from generate_series(1, 20000) g; select pg_switch_wal()")
        try site.cluster.wait(for: "a failed push") {
            try site.cluster.psql("select failed_count > 0 from pg_stat_archiver") == "t"
        }
        #expect(try !Files.exists(site.repository), "a push must not make the repository anew")
        #expect(rename(site.repository + ".away", site.repository) == 0)
        // The archiver waits a minute after three failures; a restart wakes it up.
        try site.cluster.restart()
        try site.archiveEverything()
        try site.checkEverythingArchived()
    }

    @Test func `a full repository delays archiving and loses nothing`() throws {
        try #require(geteuid() == 0, "mounting a small file system needs root")
        let site = try TestSite(initdb: Self.small)
        let mountPoint = site.repository
        let kept = site.repository + ".kept"
        #expect(rename(mountPoint, kept) == 0)
        try Files.makeDirectories(mountPoint)
        let mounted = try run("/bin/mount", ["-t", "tmpfs", "-o", "size=1m,mode=0777", "tidemark-test", mountPoint])
        try #require(mounted.ending == .exited(0), "\(mounted.errors)")
        defer { _ = try? run("/bin/umount", ["-l", mountPoint]) }
        _ = try run("/bin/cp", ["-a", kept + "/.", mountPoint])
        try site.cluster.psql("create table t as select g, md5(g::text) from generate_series(1, 60000) g")
        try site.cluster.psql("select pg_switch_wal()")
        try site.cluster.wait(for: "a push that finds no space") {
            try Files.readText(site.cluster.logFile).contains("No space left on device")
        }
        // The archiver tries again and again; during an attempt there is a temporary.
        try site.cluster.stop()
        let temporaries = try run("/usr/bin/find", [mountPoint, "-name", ".*.tmp"])
        #expect(temporaries.output == "")
        try #require(try run("/bin/mount", ["-o", "remount,size=100m", mountPoint]).ending == .exited(0))
        try site.cluster.start()
        try site.archiveEverything()
        try site.checkEverythingArchived()
    }

    @Test func `the second server that archives the same names is refused`() throws {
        let site = try TestSite(initdb: Self.small)
        try site.archiveEverything()
        try site.cluster.stop()
        let copy = site.scratch.file("twin")
        _ = try runAsServerUser("/bin/cp", ["-a", site.cluster.data, copy])
        try site.cluster.start()
        // A copy that is started without recovery writes other WAL on the same timeline, under the same identifier.
        let twin = try StandIn(data: copy)
        defer { try? twin.stop() }
        try twin.start()
        try site.cluster.psql("create table one as select g from generate_series(1, 10000) g")
        // The first server to finish the segment gets its name.
        try site.archiveEverything()
        try twin.psql("create table two as select g from generate_series(1, 10000) g")
        try twin.psql("select pg_switch_wal()")
        try wait(for: "the twin's archiver to fail") {
            try twin.psql("select failed_count from pg_stat_archiver") != "0"
        }
        #expect(try Files.readText(twin.logFile).contains("with different contents"))
        try site.checkEverythingArchived()
    }
}

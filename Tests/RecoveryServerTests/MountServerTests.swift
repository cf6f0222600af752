import Glibc
import Platform
import Support
import Testing

/// Directories that are mount points, or links to one.
@Suite(.serialized) struct MountServerTests {
    private func mount(_ place: String, size: String, remount: Bool = false) throws {
        let options = "\(remount ? "remount," : "")size=\(size),mode=0777"
        let mounted = try run("/bin/mount", ["-t", "tmpfs", "-o", options, "tidemark-test", place])
        try #require(mounted.ending == .exited(0), "\(mounted.errors)")
    }
    private func unmount(_ place: String) { _ = try? run("/bin/umount", ["-l", place]) }
    private func stop(_ directory: RecoveredDirectory) throws {
        try runAsServerUser(
            directory.site.cluster.server.bin + "/pg_ctl",
            ["-D", directory.path, "-m", "fast", "-w", "-t", "600", "-s", "stop"])
    }

    private func site() throws -> TestSite {
        let site = try TestSite(initdb: ["--wal-segsize=1"])
        try site.cluster.psql("create table t as select 1 n")
        try site.tidemark(["backup"], expectSuccess: true)
        try site.cluster.psql("insert into t values (2)")
        try site.archiveEverything()
        return site
    }

    @Test func `a data directory that is a mount point cannot be renamed, and is refused before anything is touched`()
        throws
    {
        try #require(geteuid() == 0, "mounting a small file system needs root")
        let site = try site()
        let directory = try RecoveredDirectory(site)
        try runAsServerUser("/bin/mkdir", [directory.path])
        try mount(directory.path, size: "300m")
        defer { unmount(directory.path) }
        // As it is after mount(8).
        var finished = try directory.recover(["--target", "latest"])
        #expect(finished.ending == .exited(1))
        let owner = "DETAIL:  It belongs to user \"root\", not to \"postgres\""
        #expect(finished.errors.contains(owner), "\(finished.errors)")
        #expect(finished.errors.contains("chown postgres: \(directory.path)"), "\(finished.errors)")
        #expect(try Files.list(directory.path) == [])
        chown(directory.path, try FileStatus(of: site.cluster.data).owner, 0)
        finished = try directory.recover(["--target", "latest"])
        try #require(finished.ending == .exited(0), "\(finished.errors)")
        #expect(try directory.psql("select sum(n) from t") == "3")
        _ = try directory.psql("insert into t values (100)")
        try stop(directory)
        func listing() throws -> String {
            try run("/usr/bin/find", [directory.path, "-printf", "%P %y %i %m %T@ %C@ %s %l\\n"]).output
        }
        let before = try listing()
        for option in ["--yes", "--dry-run"] {
            finished = try site.tidemark(
                ["recover", "--target", "latest", "--data-directory", directory.path, "--keep-old", "--start", option])
            #expect(finished.ending == .exited(1))
            #expect(finished.errors.contains("cannot rename directory \"\(directory.path)\""), "\(finished.errors)")
            #expect(finished.errors.contains("DETAIL:  It is a mount point."), "\(finished.errors)")
            #expect(finished.errors.contains("or use --delta"), "\(finished.errors)")
            #expect(try listing() == before, "\(option)")
        }
        // What the hint advises.
        finished = try directory.recover(["--target", "latest", "--delta"])
        #expect(finished.ending == .exited(0), "\(finished.errors)")
        #expect(try directory.psql("select sum(n) from t") == "3")
        try stop(directory)
    }

    /// What is mounted below the cluster's own data directory.
    private struct Below: Sendable, CustomTestStringConvertible {
        /// Relative to the data directory.
        let path: String
        /// Whether the new cluster would not start with the old one's.
        let isNeeded: Bool
        var testDescription: String { path }

        static let all = [
            Below(path: "pg_wal", isNeeded: true), Below(path: "base", isNeeded: true),
            Below(path: "pg_xact", isNeeded: true), Below(path: "log", isNeeded: false),
            Below(path: "postgresql.conf", isNeeded: false), Below(path: "pg_stat_tmp", isNeeded: false),
        ]
    }

    @Test(arguments: Below.all)
    private func `what is mounted in a renamed directory is named, or refused if it would come back`(
        _ below: Below
    ) throws {
        try #require(geteuid() == 0, "mounting needs root")
        let site = try site()
        try site.cluster.stop()
        let (data, disk) = (site.cluster.data, site.scratch.file("disk"))
        let place = "\(data)/\(below.path)"
        try runAsServerUser("/bin/sh", ["-c", "mkdir -p $0/log && cp -a $1 $2", data, place, disk])
        let mounted = try run("/bin/mount", ["--bind", disk, place])
        try #require(mounted.ending == .exited(0), "\(mounted.errors)")
        defer {
            for name in (try? Files.list(site.cluster.directory)) ?? [] {
                unmount("\(site.cluster.directory)/\(name)/\(below.path)")
            }
        }
        let inode = try FileStatus(of: data).inode
        let plan = try site.tidemark(["plan", "--target", "latest"], expectSuccess: true)
        #expect(plan.output.contains("Something is mounted on \"\(below.path)\" in"), "\(plan)")
        #expect(plan.output.contains("for example at the next reboot"), "\(plan)")
        var finished = try site.tidemark(["recover", "--target", "latest", "--yes"])
        guard below.isNeeded else {
            #expect(finished.ending == .exited(0), "\(finished)")
            #expect(finished.output.contains("What was mounted on \"\(below.path)\" is in"), "\(finished)")
            return
        }
        #expect(finished.ending == .exited(1), "\(finished)")
        #expect(finished.errors.contains("cannot rename directory \"\(data)\""), "\(finished)")
        #expect(finished.errors.contains("Use --delta"), "\(finished)")
        #expect(try FileStatus(of: data).inode == inode)
        // What the hint advises.
        finished = try site.tidemark(["recover", "--target", "latest", "--yes", "--delta", "--start"])
        #expect(finished.ending == .exited(0), "\(finished)")
        #expect(try site.cluster.psql("select sum(n) from t") == "3")
        #expect(try run("/bin/mountpoint", ["-q", place]).ending == .exited(0))
        try site.cluster.restart()
        #expect(try site.cluster.psql("select sum(n) from t") == "3")
        try site.cluster.stop()
    }

    @Test func `a delta recovery changes nothing in what is mounted in the directory, except PostgreSQL's own`() throws
    {
        try #require(geteuid() == 0, "mounting needs root")
        let site = try TestSite(initdb: ["--wal-segsize=1"])
        let (data, shared) = (site.cluster.data, site.scratch.file("shared"))
        let script =
            "mkdir -p $0/log/a $0/extra/deep $1/wal && echo old >$0/log/main.log && echo old >$0/extra/deep/file"
        try runAsServerUser("/bin/sh", ["-c", script, data, shared])
        try site.tidemark(["backup"], expectSuccess: true)
        try site.archiveEverything()
        try site.cluster.stop()
        let change = """
            set -e; cd $1; for p in log extra pg_hba.conf; do cp -a $0/$p .; done; cp -a $0/pg_wal/. wal
            rm -r log/a; echo theirs >log/main.log; echo theirs >log/other.log; echo theirs >extra/deep/file; echo '# theirs' >>pg_hba.conf
            echo theirs >wal/theirs
            """
        try runAsServerUser("/bin/bash", ["-c", change, data, shared])
        let points = [("log", "log"), ("extra/deep", "extra/deep"), ("pg_hba.conf", "pg_hba.conf"), ("wal", "pg_wal")]
        for (from, to) in points {
            let mounted = try run("/bin/mount", ["--bind", "\(shared)/\(from)", "\(data)/\(to)"])
            try #require(mounted.ending == .exited(0), "\(mounted.errors)")
        }
        defer { for (_, to) in points { unmount("\(data)/\(to)") } }
        func listing() throws -> String {
            let script =
                "cd $0; find log extra pg_hba.conf -printf '%p %y %s %m %T@\\n' | sort; cat log/* extra/*/* pg_hba.conf"
            return try run("/bin/sh", ["-c", script, shared]).output
        }
        let before = try listing()
        let words = ["recover", "--target", "immediate", "--delta", "--yes"]
        let plan = try site.tidemark(words + ["--dry-run"], expectSuccess: true)
        let done = try site.tidemark(words + ["--start"])
        #expect(done.ending == .exited(0), "\(done)")
        for path in ["log", "extra/deep", "pg_hba.conf"] {
            #expect(plan.output.contains("Something is mounted on \"\(path)\""), "\(plan)")
            #expect(done.output.contains("Something is mounted in \"\(path)\""), "\(done)")
        }
        #expect(try listing() == before)
        #expect(try Files.exists("\(shared)/wal/theirs"))
        #expect(try Files.readText("\(data)/PG_VERSION") == "15\n")
        try site.cluster.stop()
    }

    @Test func `a data directory behind a symbolic link stays on its disk`() throws {
        let site = try site()
        let directory = try RecoveredDirectory(site)
        let disk = directory.scratch.file("disk")
        try runAsServerUser("/bin/sh", ["-c", "mkdir \"$1\" && ln -s \"$1/main\" \"$2\"", "sh", disk, directory.path])
        var finished = try directory.recover(["--target", "latest"])
        #expect(finished.ending == .exited(1))
        let dangling = "a symbolic link to \"\(disk)/main\", which does not exist"
        #expect(finished.errors.contains(dangling), "\(finished.errors)")
        try runAsServerUser("/bin/mkdir", ["-m", "0700", disk + "/main"])
        for count in 0...1 {
            finished = try directory.recover(["--target", "latest", "--keep-old"])
            try #require(finished.ending == .exited(0), "\(finished.errors)")
            #expect(try directory.psql("select sum(n) from t") == "3")
            try stop(directory)
            #expect(try Files.readLink(directory.path) == disk + "/main")
            #expect(try Files.exists(disk + "/main/PG_VERSION"))
            #expect(try Files.list(disk).filter { $0.hasPrefix("main.before-") }.count == count)
        }
    }

    @Test func `a tablespace on a disk of its own`() throws {
        try #require(geteuid() == 0, "mounting a small file system needs root")
        let site = try TestSite(initdb: ["--wal-segsize=1"])
        let old = site.scratch.file("space")
        try runAsServerUser("/bin/mkdir", [old])
        try site.cluster.psql("create tablespace fast location '\(old)'")
        try site.cluster.psql("create table t tablespace fast as select generate_series(1, 100000) n")
        try site.tidemark(["backup"], expectSuccess: true)
        try site.archiveEverything()
        let directory = try RecoveredDirectory(site)
        let disk = directory.scratch.file("disk")
        try runAsServerUser("/bin/mkdir", [disk])
        try mount(disk, size: "1m")
        defer { unmount(disk) }
        chown(disk, try FileStatus(of: site.cluster.data).owner, 0)
        let arguments = ["--target", "latest", "--tablespace-mapping", "\(old)=\(disk)"]
        var finished = try directory.recover(arguments)
        #expect(finished.ending == .exited(1))
        #expect(finished.errors.contains("not enough space to recover into \"\(disk)\""), "\(finished.errors)")
        let hint = "put the tablespace elsewhere with --tablespace-mapping"
        #expect(finished.errors.contains(hint), "\(finished.errors)")
        #expect(try !Files.exists(directory.path))
        try mount(disk, size: "100m", remount: true)
        finished = try directory.recover(arguments)
        try #require(finished.ending == .exited(0), "\(finished.errors)")
        #expect(try directory.psql("select count(*) from t") == "100000")
        // Once more in its place: the tablespace's folder is renamed on its own disk.
        try stop(directory)
        finished = try directory.recover(arguments + ["--keep-old"])
        try #require(finished.ending == .exited(0), "\(finished.errors)")
        #expect(try directory.psql("select count(*) from t") == "100000")
        #expect(try Files.list(disk).filter { $0.contains(".before-") }.count == 1)
        try stop(directory)
    }
}

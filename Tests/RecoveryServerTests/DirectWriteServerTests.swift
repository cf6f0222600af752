import Glibc
import Platform
import Support
import Testing

/// Large files are restored past the page cache where that is possible, and otherwise through it.
@Suite struct DirectWriteServerTests {
    /// A backup with a large file whose length is no multiple of a block, and one with a hole.
    private func site() throws -> (site: TestSite, names: [String]) {
        let site = try TestSite(initdb: ["--wal-segsize=1"], configuration: ["jobs = 1"])
        try site.cluster.psql("create table t as select n, repeat(md5(n::text), 20) x from generate_series(1, 8000) n")
        let script = """
            head -c 3000123 /dev/urandom >"$1/odd" && head -c 5000000 /dev/urandom >"$1/holes" &&
            truncate -s 9000000 "$1/holes" && head -c 8192 /dev/urandom >>"$1/holes"
            """
        try runAsServerUser("/bin/sh", ["-c", script, "sh", site.cluster.data])
        try site.tidemark(["backup"], expectSuccess: true)
        // The server keeps running, so its own files may change; a server checks the restored ones.
        return (site, ["odd", "holes"])
    }

    private func expectSame(_ names: [String], _ site: TestSite, _ directory: String) throws {
        for name in names {
            let same = try run("/usr/bin/cmp", ["\(site.cluster.data)/\(name)", "\(directory)/\(name)"])
            #expect(same.ending == .exited(0), "\(name): \(same.output)\(same.errors)")
        }
    }

    @Test func `what the file system refuses to take past the page cache goes through it`() throws {
        let (site, names) = try site()
        let traced = try RecoveredDirectory(site, in: TestPlace.onDisk)
        let arguments = ["recover", "--target", "immediate", "--yes", "--data-directory"]
        let trace = try site.tidemark(arguments + [traced.path], environment: ["TIDEMARK_FAULT": "trace"])
        try #require(trace.ending == .exited(0), "\(trace.errors)")
        // All but a last piece goes past the page cache; tmpfs can only keep it there.
        let large = try Descriptor(open: traced.path + "/odd", O_RDONLY)
        let isInMemory = try run("/usr/bin/stat", ["-f", "-c", "%T", traced.path]).output == "tmpfs\n"
        let cached = large.cachedBytes(at: 0, count: 2 << 20) ?? .max
        #expect(isInMemory || cached == 0, "\(cached)")
        try expectSame(names, site, traced.path)
        // All of it is on disk before the directory can be started.
        let lines = trace.errors.split(separator: "\n").map(String.init)
        let last = lines.lastIndex { $0.hasPrefix("trace: write \(traced.path)/base/") } ?? -1
        let flushed = lines[max(0, last)...].firstIndex { $0 == "trace: fsync \(traced.path)" } ?? -1
        let manifest = lines.firstIndex { $0.hasPrefix("trace: open \(traced.path)/.backup_manifest.") } ?? -1
        let control = lines.firstIndex { $0.hasPrefix("trace: rename \(traced.path)/global/.pg_control") } ?? -1
        #expect(0 <= last && last < flushed, "\(last) \(flushed)")
        #expect(flushed < manifest && manifest < control, "\(flushed) \(manifest) \(control)")
        let writes = trace.errors.split(separator: "\n").filter { $0.hasPrefix("trace: write ") }
        for name in names {
            let directory = try RecoveredDirectory(site, in: TestPlace.onDisk)
            let finished = try site.tidemark(
                arguments + [directory.path], environment: ["TIDEMARK_FAULT": "write:/data/\(name)#1=EINVAL"])
            #expect(finished.errors.contains("fault: write \(directory.path)/\(name) fails"), "\(finished.errors)")
            #expect(finished.ending == .exited(0), "\(finished.errors)")
            try expectSame(names, site, directory.path)
        }
        // The disk is full, past the page cache as well as through it.
        let number = writes.count { $0.hasSuffix("/data/holes") }
        let directory = try RecoveredDirectory(site, in: TestPlace.onDisk)
        let failed = try site.tidemark(
            arguments + [directory.path], environment: ["TIDEMARK_FAULT": "write:/data/holes#\(number)=ENOSPC"])
        #expect(failed.ending == .exited(1) && failed.errors.contains("No space left on device"), "\(failed.errors)")
        let resumed = try site.tidemark(["recover", "--resume", "--data-directory", directory.path])
        #expect(resumed.ending == .exited(0), "\(resumed.errors)")
        try expectSame(names, site, directory.path)
    }

    @Test func `a file system without direct writes, and a replay of some length`() throws {
        let (site, names) = try site()
        let memory = try RecoveredDirectory(site, in: TestPlace.onDisk)
        let mounted = try run("/bin/mount", ["-t", "ramfs", "-o", "mode=0777", "tidemark-test", memory.scratch.path])
        try #require(mounted.ending == .exited(0), "\(mounted.errors)")
        defer {
            _ = try? runAsServerUser(
                site.cluster.server.bin + "/pg_ctl", ["-D", memory.path, "-m", "immediate", "-w", "-t", "300", "stop"],
                expectSuccess: false)
            _ = try? run("/bin/umount", ["-l", memory.scratch.path])
        }
        let sum = try site.cluster.psql("select md5(string_agg(n || x, ',' order by n)) from t")
        try site.archiveEverything()
        var finished = try memory.recover(["--target", "latest"])
        #expect(finished.ending == .exited(0), "\(finished.errors)")
        #expect(try memory.psql("select md5(string_agg(n || x, ',' order by n)) from t") == sum)
        try expectSame(names, site, memory.path)

        // Much to replay: a twentieth of the backup and more.
        try site.cluster.psql("insert into t select n, repeat(md5(n::text), 20) from generate_series(1, 8000) n")
        try site.archiveEverything()
        let directory = try RecoveredDirectory(site, in: TestPlace.onDisk)
        finished = try directory.recover(["--target", "latest"])
        #expect(finished.ending == .exited(0), "\(finished.errors)")
        #expect(try directory.psql("select count(*) from t") == "16000")
        try expectSame(names, site, directory.path)
    }
}

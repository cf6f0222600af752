import Glibc
import Platform
import Support
import Testing

/// The memory of every command that reads or writes a backup hardly grows with the number of relations and files
/// (100,000 and a million, in the long tests).
@Suite(.serialized) struct ManyRelationsTests {
    private let count = getenv("TIDEMARK_SOAK") == nil ? 1_000 : 100_000
    private let otherFiles = getenv("TIDEMARK_SOAK") == nil ? 20_000 : 1_000_000

    /// Runs tidemark and returns its largest resident set, in bytes.
    private func memory(_ site: TestSite, _ arguments: [String]) throws -> Int {
        let script = """
            import resource, subprocess, sys
            status = subprocess.call(sys.argv[1:], stdout=subprocess.DEVNULL)
            print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024)
            sys.exit(status)
            """
        let finished = try runAsServerUser(
            "/usr/bin/python3", ["-c", script, try Executables.tidemark()] + arguments + ["--jobs", "2"],
            environment: ["TIDEMARK_CONFIG": site.configuration])
        return try #require(Int(finished.output.dropLast()))
    }

    @Test func `backup, verify, recover and expire keep to 64 MiB, and every relation and file comes back`() throws {
        let site = try TestSite(
            settings: ["max_locks_per_transaction": "2000", "max_wal_size": "4GB"], initdb: ["--data-checksums"])
        for start in stride(from: 1, through: count, by: 1000) {
            try site.cluster.psql(
                """
                DO $$ BEGIN FOR i IN \(start)..\(start + 999) LOOP
                EXECUTE 'CREATE TABLE t' || i || ' AS SELECT ' || i || ' AS i'; END LOOP; END $$
                """)
        }
        // Files that PostgreSQL doesn't know, as after many crashes; some frames are full because of their number.
        let script = """
            import os, sys
            for i in range(int(sys.argv[2])):
                with open(f"{sys.argv[1]}/{2000000000 + i}", "wb", 0) as file:
                    file.write(b"%d" % i if i % 3 else b"")
            """
        let folder = try site.cluster.psql("SELECT oid FROM pg_database WHERE datname = current_database()")
        try runAsServerUser(
            "/usr/bin/python3", ["-c", script, site.cluster.data + "/base/" + folder, String(otherFiles)])
        let limit = 64 << 20
        let backup = try memory(site, ["backup"])
        #expect(backup < limit)
        let verify = try memory(site, ["verify"])
        #expect(verify < limit)
        try site.archiveEverything()
        let target = site.scratch.file("copy")
        let recover = ["recover", "--target", "latest", "--data-directory", target, "--yes"]
        let fresh = try memory(site, recover)
        #expect(fresh < limit)
        // A restored copy of the cluster that was not started.
        let delta = try memory(site, recover + ["--delta"])
        #expect(delta < limit)
        let others = try run(
            "/bin/sh", ["-c", "find \"$1\" -name '2?????????' | wc -l", "sh", target + "/base/" + folder]
        ).output
        #expect(others == "\(otherFiles)\n")
        let verified = try runAsServerUser(
            site.cluster.server.bin + "/pg_verifybackup", ["-n", target], expectSuccess: false)
        #expect(verified.ending == .exited(0), "\(verified.errors)")
        let server = try runAsServerUser(
            site.cluster.server.bin + "/pg_ctl",
            [
                "-D", target, "-l", target + ".log", "-w", "-t", "600", "-o", "-c unix_socket_directories=\(target)",
                "start",
            ])
        #expect(server.ending == .exited(0))
        defer {
            _ = try? runAsServerUser(
                site.cluster.server.bin + "/pg_ctl", ["-D", target, "-m", "immediate", "stop"], expectSuccess: false)
        }
        func psql(_ sql: String) throws -> String {
            try runAsServerUser(
                site.cluster.server.bin + "/psql", ["-h", target, "-U", "postgres", "-d", "postgres", "-XAtqc", sql]
            ).output
        }
        try site.cluster.wait(for: "the end of recovery") { try psql("SELECT pg_is_in_recovery()") == "f\n" }
        let found = try psql(
            """
            SELECT count(*), sum((xpath('//i/text()', query_to_xml(format('TABLE %s', relname), false, true, '')))[1]
            ::text::int) FROM pg_class WHERE relname ~ '^t[0-9]+$' AND relkind = 'r'
            """)
        #expect(found == "\(count)|\(count * (count + 1) / 2)\n")
        try site.tidemark(["backup", "--no-expire"], expectSuccess: true)
        let expire = try memory(site, ["expire", "--keep-full", "1"])
        #expect(expire < limit)
    }
}

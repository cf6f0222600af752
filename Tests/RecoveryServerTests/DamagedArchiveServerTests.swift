import Glibc
import Platform
import Support
import Testing

/// Archives with lost or damaged files: what recover says, and that it says it in time.
@Suite(.serialized) struct DamagedArchiveServerTests {
    private struct Damage {
        let name: String
        /// The file to break: the first one below the repository whose path contains this.
        let file: String
        let apply: (_ path: String) throws -> Void
        let status: Int32
        let says: [String]
    }

    private static func flip(_ path: String) throws {
        var bytes = try Files.read(path, limit: 1 << 30)
        bytes[bytes.count / 2] ^= 0xFF
        try Files.remove(path)
        try createDurably(path, bytes: bytes, mode: 0o644)
    }

    /// A cluster with a backup and at least four segments after it; its folder in the repository, and the name of the
    /// object of one of these segments, which isn't the last.
    private static func site() throws -> (site: TestSite, folder: String, middle: String) {
        let site = try TestSite(initdb: ["--wal-segsize=1"])
        try site.cluster.psql("create table t as select n, md5(n::text) x from generate_series(1, 5000) n")
        try site.tidemark(["backup"], expectSuccess: true)
        for _ in 0..<4 {
            try site.cluster.psql("update t set x = md5(x)")
            try site.archiveEverything()
        }
        let folder = "\(site.repository)/main/\(try Files.list(site.repository + "/main")[0])"
        let segments = try Files.list("\(folder)/wal/00000001/0000000100000000")
            .filter { $0.hasSuffix(".zst") && !$0.contains(".backup") }.sorted()
        return (site, folder, segments[segments.count - 3])
    }

    @Test func `damage and loss are named`() throws {
        let (site, folder, middle) = try Self.site()
        let rows = [
            Damage(
                name: "a segment is missing in the middle", file: "wal/00000001/0000000100000000/\(middle)",
                apply: { try Files.remove($0) }, status: 4,
                says: [
                    "cannot reach the end of the archive", "WAL segment \"\(middle.prefix(24))\" is missing.",
                    "--target-lsn",
                ]),
            Damage(
                name: "a pack is missing", file: "pack/", apply: { try Files.remove($0) }, status: 1,
                says: ["is not in"]),
            Damage(name: "a pack is damaged", file: "pack/", apply: Self.flip, status: 1, says: ["is damaged"]),
            Damage(
                name: "backup.json is damaged", file: "backup/", apply: Self.flip, status: 4,
                says: ["there is no complete base backup"]),
        ]
        for row in rows {
            let listed = try run("/usr/bin/find", [folder, "-type", "f", "-path", "*\(row.file)*"]).output
            let files = listed.split(separator: "\n").map(String.init).sorted()
            let path = try #require(
                files.first { row.file != "backup/" || $0.hasSuffix("backup.json") }, "\(row.name): \(listed)")
            let kept = site.scratch.file("kept")
            _ = try run("/bin/cp", ["-a", path, kept])
            try row.apply(path)
            let directory = try RecoveredDirectory(site)
            let finished = try directory.recover(["--target", "latest"])
            #expect(finished.ending == .exited(row.status), "\(row.name): \(finished.errors)")
            for text in row.says { #expect(finished.errors.contains(text), "\(row.name): \(finished.errors)") }
            _ = try run("/bin/sh", ["-c", "rm -f '\(path)'; cp -a '\(kept)' '\(path)'"])
        }
        let directory = try RecoveredDirectory(site)
        let finished = try directory.recover(["--target", "latest"])
        #expect(finished.ending == .exited(0), "\(finished.errors)")
    }

    @Test func `a segment that is damaged where replay needs it stops the server instead of ending recovery early`()
        throws
    {
        let (site, folder, middle) = try Self.site()
        let path = "\(folder)/wal/00000001/0000000100000000/\(middle)"
        let kept = site.scratch.file("kept")
        _ = try run("/bin/cp", ["-a", path, kept])
        // Its head stays whole, so that the plan finds nothing wrong; its content is damaged.
        var bytes = try Files.read(path)
        bytes[bytes.count - 200] ^= 0xFF
        try Files.remove(path)
        try createDurably(path, bytes: bytes, mode: 0o644)
        let directory = try RecoveredDirectory(site)
        let finished = try directory.recover(["--target", "latest"])
        #expect(finished.ending == .exited(1), "\(finished.output)")
        #expect(finished.errors.contains("the server stopped before it reached the target"), "\(finished.errors)")
        #expect(
            finished.errors.contains("recover --resume --data-directory \(directory.path) --config "),
            "\(finished.errors)")
        // A drill leaves neither a directory that could be resumed nor its log.
        let drill = try site.tidemark(["drill"])
        #expect(drill.errors.contains("the server stopped before it reached the target"), "\(drill)")
        #expect(!drill.errors.contains("--resume") && !drill.errors.contains("The log is"), "\(drill)")
        // Once the repository is whole again, the recovery continues.
        _ = try run("/bin/sh", ["-c", "rm -f '\(path)'; cp -a '\(kept)' '\(path)'"])
        let resumed = try site.tidemark(["recover", "--resume", "--data-directory", directory.path])
        #expect(resumed.ending == .exited(0), "\(resumed.errors)")
        #expect(try directory.psql("select count(*) from t") == "5000")
    }
}

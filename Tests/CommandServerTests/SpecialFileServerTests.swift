import Glibc
import Platform
import Support
import Testing

/// A special file in place of a file: nothing waits for it, and every command ends.
@Suite(.serialized) struct SpecialFileServerTests {
    private static let site = TestSite.shared {
        let site = try TestSite(initdb: ["--wal-segsize=1"])
        try site.cluster.psql("create table t as select 1 n")
        try site.tidemark(["backup", "--no-expire"], expectSuccess: true)
        try site.archiveEverything()
        return site
    }
    private static let commands = [
        ["verify"], ["verify", "--wal"], ["list"], ["segments"], ["window"], ["plan", "--target", "latest"], ["du"],
        ["recover", "--target", "latest", "--data-directory", "DIRECTORY", "--yes"], ["expire", "--keep-full", "1"],
        ["check"], ["status"], ["history"], ["events"], ["backup", "--no-expire", "--wal-wait-timeout", "1s"],
    ]

    @Test(arguments: [
        "backup.json", "manifest.sqlite.zst", "000001", "incarnation.json", "*-backup-*.json", "0000000100000000*.zst",
    ]) func `no command waits for a FIFO in the place of an object`(_ name: String) throws {
        let site = try Self.site.get()
        let found = try run("/usr/bin/find", [site.repository, "-name", name]).output.split(separator: "\n").sorted()
        let path = String(try #require(found.first))
        let kept = site.scratch.file("kept")
        try Files.rename(path, to: kept)
        try runAsServerUser("/usr/bin/mkfifo", [path])
        defer {
            try? Files.remove(path)
            try? Files.rename(kept, to: path)
        }
        for command in Self.commands {
            let words = command.map { $0 == "DIRECTORY" ? site.scratch.file("recovered") : $0 }
            let finished = try runAsServerUser(
                "/usr/bin/timeout", ["600", Executables.tidemark()] + words,
                environment: ["TIDEMARK_CONFIG": site.configuration], expectSuccess: false)
            guard case .exited(let status) = finished.ending else {
                Issue.record("\(command): \(finished)")
                continue
            }
            #expect(status != 124 && status < 125, "\(command): \(finished)")
            _ = try run("/bin/rm", ["-rf", site.scratch.file("recovered")])
        }
    }

    @Test(arguments: ["PG_VERSION", "global/pg_control", "postgresql.auto.conf", "pg_wal/00000009.history"])
    func `no command waits for a FIFO in the data directory`(_ name: String) throws {
        let site = try Self.site.get()
        let path = site.cluster.data + "/" + name
        let kept = site.scratch.file("kept")
        let isThere = try Files.exists(path)
        if isThere { try Files.rename(path, to: kept) }
        try runAsServerUser("/usr/bin/mkfifo", [path])
        defer {
            try? Files.remove(path)
            if isThere { try? Files.rename(kept, to: path) }
        }
        let segment =
            site.cluster.data + "/pg_wal/" + (try site.cluster.psql("select pg_walfile_name(pg_current_wal_lsn())"))
        let archiver = [
            ["archive-get", "000000010000000000000099", site.scratch.file("got")], ["archive-push", segment],
            ["recovery-end", "--data-directory", site.cluster.data], ["init"],
        ]
        for command in Self.commands + archiver where command[0] != "recover" {
            let finished = try runAsServerUser(
                "/usr/bin/timeout", ["600", Executables.tidemark()] + command,
                environment: ["TIDEMARK_CONFIG": site.configuration], expectSuccess: false)
            guard case .exited(let status) = finished.ending else {
                Issue.record("\(command): \(finished)")
                continue
            }
            #expect(status != 124, "\(command): \(finished)")
            if command[0] == "archive-get" {
                #expect(status == (name.hasPrefix("pg_wal") || name.hasSuffix(".conf") ? 1 : 200), "\(finished)")
            }
        }
    }
}

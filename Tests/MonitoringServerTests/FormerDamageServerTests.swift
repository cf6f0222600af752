import Platform
import Support
import Testing

/// Findings of verifications in an incarnation that is not in use any more, or that was expired since.
@Suite(.serialized) struct FormerDamageServerTests {
    /// A cluster that was recreated by initdb; both incarnations have WAL and a backup.
    private final class Renewed {
        let site: TestSite
        let new: TestCluster
        /// The folders of the incarnations in the repository.
        let former: String

        init() throws {
            site = try TestSite(initdb: ["--wal-segsize=1"])
            try Renewed.fill(site, site.cluster)
            former = try #require(try Files.list(site.repository + "/main").first)
            try site.cluster.stop()
            let push = "'\(try Executables.tidemark()) archive-push --config \(site.configuration) %p'"
            new = try TestCluster(
                .v15, settings: ["archive_mode": "on", "archive_command": push], initdb: ["--wal-segsize=1"])
            let lines = try Files.readText(site.configuration)
                .replacing(site.cluster.data, with: new.data).replacing(site.cluster.conninfo, with: new.conninfo)
            try replaceDurably(site.configuration, bytes: Array(lines.utf8), mode: 0o644)
            try site.tidemark(["init"], expectSuccess: true)
            try Renewed.fill(site, new)
        }

        private static func fill(_ site: TestSite, _ cluster: TestCluster) throws {
            try cluster.psql("create table t as select generate_series(1, 100) n")
            try site.tidemark(["backup"], expectSuccess: true)
            for _ in 0..<3 {
                try cluster.psql("insert into t select generate_series(1, 3000)")
                let last = try cluster.psql("select pg_walfile_name(pg_switch_wal())")
                try cluster.wait(for: "the archiver to archive \(last)") {
                    try cluster.psql("select last_archived_wal >= '\(last)' from pg_stat_archiver") == "t"
                }
            }
        }
    }

    private struct Row: Sendable, CustomTestStringConvertible {
        let testDescription: String
        /// The object, below the incarnation's folder, as a path pattern of find(1); of several the last but one.
        let object: String
        let script: String
        let check: String
        let says: String
    }

    private static let rows = [
        Row(
            testDescription: "a pack", object: "*/pack/*/000001",
            script: "printf '\\245\\245\\245\\245' | dd of=$0 bs=1 seek=5000 conv=notrunc status=none", check: "verify",
            says: "a verification found"),
        Row(
            testDescription: "a damaged segment", object: "*/0000000100000000????????.zst",
            script: "printf '\\245\\245\\245\\245' | dd of=$0 bs=1 seek=$(($(stat -c %s $0) / 2)) conv=notrunc",
            check: "verify_wal", says: "is damaged"),
        Row(
            testDescription: "a segment that is gone", object: "*/0000000100000000????????.zst", script: "rm $0",
            check: "verify_wal", says: "is missing"),
    ]

    @Test func `damage before initdb is known as long as it is there`() throws {
        let renewed = try Renewed()
        let site = renewed.site
        try site.tidemark(["verify"], expectSuccess: true)
        for row in Self.rows {
            let found = try run(
                "/usr/bin/find", ["\(site.repository)/main/\(renewed.former)", "-path", row.object]
            ).output.split(separator: "\n").map(String.init).sorted()
            let path = try #require(found.count > 2 ? found[found.count - 2] : found.first)
            try runAsServerUser("/bin/sh", ["-c", "cp -p $0 $0.kept", path])
            try runAsServerUser("/bin/bash", ["-ec", row.script, path])
            let verified = try site.tidemark(["verify"])
            #expect(verified.ending == .exited(3), "\(row): \(verified)")
            for command in [["check", "--only", row.check], ["check", "--only", row.check, "--json"]] {
                let said = try site.tidemark(command).output
                #expect(
                    said.contains("critical") && said.contains(row.says) && said.contains(renewed.former)
                        && said.contains("restore it from a copy of the repository"), "\(row): \(said)")
            }
            // The other incarnation has intact segments of the same names.
            for command in [["window"], ["plan", "--target", "latest"]] {
                let said = try site.tidemark(command, expectSuccess: true)
                #expect(!(said.output + said.errors).contains("is damaged"), "\(row): \(command): \(said)")
            }
            try runAsServerUser("/bin/sh", ["-c", "cp -p $0.kept $0 && rm $0.kept", path])
            if row.check == "verify_wal" {
                let repaired = try site.tidemark(["check", "--only", row.check]).output
                #expect(repaired.contains("warning") && repaired.contains("no longer"), "\(row): \(repaired)")
            }
            try site.tidemark(["verify"], expectSuccess: true)
            #expect(try site.tidemark(["check", "--only", row.check]).output.contains("It was verified"), "\(row)")
        }
        // Whether or not anything was verified.
        let marker = "\(site.repository)/main/\(renewed.former)/incarnation.json"
        try runAsServerUser("/bin/mv", [marker, marker + ".away"])
        let check = try site.tidemark(["check", "--only", "verify"])
        #expect(check.ending == .exited(3), "\(check)")
        for told in [check, try site.tidemark(["status"]), try site.tidemark(["list"])] {
            let said = told.output + told.errors
            #expect(said.contains("\(renewed.former)/incarnation.json\" is missing"), "\(said)")
        }
        try runAsServerUser("/bin/mv", [marker + ".away", marker])
        try site.tidemark(["check", "--only", "verify"], expectSuccess: true)
    }

    @Test func `a gap that was found and then expired is none any more`() throws {
        let site = try TestSite(initdb: ["--wal-segsize=1"])
        func fill() throws {
            try site.tidemark(["backup"], expectSuccess: true)
            for _ in 0..<4 {
                try site.cluster.psql("create table if not exists t (n int)")
                try site.cluster.psql("insert into t select generate_series(1, 3000)")
                try site.archiveEverything()
            }
        }
        try fill()
        let path = try #require(
            run("/usr/bin/find", [site.repository, "-name", "0000000100000000????????.zst"]).output
                .split(separator: "\n").map(String.init).sorted().dropLast().last)
        try runAsServerUser("/bin/rm", [path])
        #expect(try site.tidemark(["verify", "--wal"]).ending == .exited(3))
        func check() throws -> String { try site.tidemark(["check", "--only", "verify_wal"]).output }
        let missing = try check()
        #expect(missing.contains("critical") && missing.contains(Files.name(path).dropLast(4)), "\(missing)")
        try site.cluster.psql("select pg_sleep(1.1)")
        try fill()
        #expect(try check().contains("critical"))
        try site.tidemark(["expire", "--keep-full", "1"], expectSuccess: true)
        let expired = try check()
        #expect(expired.contains("warning") && expired.contains("tidemark verify --wal"), "\(expired)")
        try site.tidemark(["verify", "--wal"], expectSuccess: true)
        #expect(try check().contains("It was verified"))
    }
}

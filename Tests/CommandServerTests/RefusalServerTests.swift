import FoundationEssentials
import Glibc
import Platform
import Support
import Testing

/// A command that is refused before anything is done.
private struct Refused: Sendable, CustomTestStringConvertible {
    let words: [String]
    let says: String
    var testDescription: String { words.joined(separator: " ") }

    init(_ line: String, _ says: String) {
        (words, self.says) = (line.split(separator: " ").map(String.init), says)
    }

    static let all = [
        Refused("verify nope", "has no complete backup \"nope\""),
        Refused("verify --wal nope", "--wal goes without backups"),
        Refused("verify --frobnicate", "frobnicate"),
        Refused("verify --wal --from 0/2 --to 0/1", "--from is after --to"),
        Refused("verify --wal --from F/0", "no WAL is archived between"),
        Refused("verify --wal --from F/0 --to F/1", "no WAL is archived between"),
        Refused("verify --wal --from 2100-01-01T00:00:00Z", "no WAL is archived between"),
        Refused("backup --type incr", "incremental backups are not available yet"),
        Refused("backup --pin-until someday", "--pin-until takes a date"),
        Refused("backup --rate-limit slow", "--rate-limit takes a size"),
        Refused("backup --scratch-directory REPOSITORY/scratch", "lies in repository"),
        Refused("backup --cluster other", "other"),
        Refused("recover --target latest --data-directory OUTPUT/copy", "cannot ask for confirmation"),
        Refused("recover --target latest --data-directory /proc/copy --yes", "/proc"),
        Refused("recover --target latest --data-directory REPOSITORY --yes", "lies in the recovery's directory"),
        Refused("recover --target latest --data-directory REPOSITORY/copy --yes", "REPOSITORY"),
        Refused("recover --data-directory OUTPUT/copy --yes", "target"),
        Refused("recover --target-lsn F/0 --data-directory OUTPUT/copy --yes", "cannot reach"),
        Refused("recover --target latest --backup nope --data-directory OUTPUT/copy --yes", "nope"),
        Refused("recover --resume --data-directory OUTPUT/copy", "no recovery into"),
        Refused("recover --target latest --yes", "server"),
        Refused("recover-table --target latest --into-table", "which table?"),
        Refused("recover-table -t postgres.public.t --target latest", "where should the tables go?"),
        Refused("recover-table -t postgres.public.t --target latest --replace", "cannot ask for confirmation"),
        Refused("recover-table -t postgres.public.absent --target latest --into-table", "absent"),
        Refused("recover-table -t postgres.public.t --before-drop --into-table", "no"),
        Refused("drill --target-lsn F/0", "cannot reach"),
        Refused("drill --backup nope", "nope"),
        Refused("drill --random --target latest", "exclude each other"),
        Refused("expire --keep-full -1", "keep_full"),
    ]
}

/// A refused command is no failed job; one that failed because the repository was away is one, and is recorded.
@Suite(.serialized) struct RefusalServerTests {
    private static let site = TestSite.shared {
        let site = try TestSite(
            initdb: ["--wal-segsize=1"],
            configuration: [
                "[notify all]", "command = 'cat >>\"$TOLD\"'",
                "events = 'backup_failure,verify_failure,drill_failure,expire_failure,recovery'",
            ])
        try site.cluster.psql("create table t as select 1")
        try site.tidemark(["backup"], expectSuccess: true)
        try site.archiveEverything()
        return site
    }

    private struct Row: Decodable {
        let job: String
        let result: String
        let message: String?
    }

    private func rows(_ site: TestSite) throws -> [Row] {
        let output = try site.tidemark(["history", "--json", "--days", "0"], expectSuccess: true).output
        return try JSONDecoder().decode([Row].self, from: Data(output.utf8))
    }

    /// The chart, without its legend.
    private func marks(_ site: TestSite) throws -> String {
        try site.tidemark(["status"]).output.replacing("✗ failed", with: "")
    }

    private func queue(_ site: TestSite) throws -> [String] {
        try Files.listIfPresent(site.scratch.file("state") + "/main/notify/queue")
    }

    @Test(arguments: Refused.all) private func `it is no job, and nobody is notified`(_ refused: Refused) throws {
        let site = try Self.site.get()
        let before = try rows(site).count
        let words = refused.words.map {
            $0.replacing("REPOSITORY", with: site.repository).replacing("OUTPUT", with: site.scratch.path)
        }
        let finished = try site.tidemark(words, environment: ["TOLD": site.scratch.file("told")])
        #expect(finished.ending != .exited(0), "\(finished.output)")
        let says = refused.says.replacing("REPOSITORY", with: site.repository)
        #expect(finished.errors.contains(says), "\(finished.errors)")
        #expect(try rows(site).count == before)
        #expect(try queue(site) == [])
        #expect(try !Files.exists(site.scratch.file("told")))
        #expect(try run("/usr/bin/find", [site.scratch.file("state"), "-path", "*/jobs/*"]).output == "")
        #expect(try !marks(site).contains("✗"))
    }

    @Test(arguments: ["away", "full"]) func `a backup that failed for want of the repository is recorded later`(
        _ want: String
    ) throws {
        let site = try TestSite(initdb: ["--wal-segsize=1"])
        try site.tidemark(["backup"], expectSuccess: true)
        try site.cluster.waitForArchiver()
        try site.tidemark(["list"], expectSuccess: true)
        let kept = try site.learned() + "/jobs"
        var failed: Finished
        if want == "away" {
            try runAsServerUser("/bin/mv", [site.repository, site.repository + ".away"])
            failed = try site.tidemark(["backup"])
            #expect(failed.errors.contains("is kept in \"\(kept)\""), "\(failed.errors)")
            // Another repository's history isn't this one's.
            _ = try site.tidemark(["verify", "--repository", site.repository + ".other"])
            let check = try site.tidemark(["check", "--only", "backup", "--format", "json"])
            #expect(check.ending != .exited(0))
            // Nor is one that was made in its place since.
            try site.tidemark(["init"], expectSuccess: true)
            #expect(try rows(site).isEmpty)
            #expect(try Files.list(kept).count == 1)
            try runAsServerUser("/bin/rm", ["-r", site.repository])
            try runAsServerUser("/bin/mv", [site.repository + ".away", site.repository])
        } else {
            failed = try site.tidemark(["backup"], environment: ["TIDEMARK_FAULT": "write:*=ENOSPC"])
            #expect(failed.errors.contains("No space left on device"), "\(failed.errors)")
            failed = try site.tidemark(
                ["backup"],
                environment: ["TIDEMARK_FAULT": "open:/pack/=ENOSPC,open:/repository/*/job/=ENOSPC"])
        }
        #expect(failed.ending == .exited(1), "\(failed.errors)")
        let names = try Files.list(kept)
        #expect(names.count == 1, "\(names)")
        // Before it is carried over, and after.
        let check = try site.tidemark(["check"]).output
        #expect(check.contains("The last backup failed"), "\(check)")
        #expect(try marks(site).contains("✗"))
        for _ in 0..<2 {
            #expect(try rows(site).map(\.result) == ["success", "failure"])
            #expect(try Files.list(kept) == [])
        }
        try site.tidemark(["backup"], expectSuccess: true)
        #expect(try rows(site).map(\.result) == ["success", "failure", "success"])
    }

    @Test func `an unreadable record and an unreadable folder are skipped`() throws {
        let site = try TestSite(initdb: ["--wal-segsize=1"])
        for _ in 0..<2 { try site.tidemark(["backup"], expectSuccess: true) }
        let records = try run("/usr/bin/find", [site.repository, "-path", "*/job/*", "-name", "*.json"]).output
            .split(separator: "\n").map(String.init)
        chmod(try #require(records.min()), 0)
        let history = try site.tidemark(["history"], expectSuccess: true)
        #expect(history.output.split(separator: "\n").count == 3, "\(history.output)")
        #expect(history.errors.contains("is passed over: could not open file"), "\(history.errors)")
        let folder = Files.parent(records[0])
        chmod(folder, 0)
        let whole = try site.tidemark(["history"], expectSuccess: true)
        #expect(whole.errors.contains("is passed over: could not open directory"), "\(whole.errors)")
        try site.tidemark(["backup"], environment: ["TIDEMARK_FAULT": "rename:3=kill"])
        try site.cluster.waitForArchiver()
        let cleaned = try site.tidemark(["clean"], expectSuccess: true)
        #expect(cleaned.errors.contains("WARNING:  could not open directory \"\(folder)\""), "\(cleaned.errors)")
        #expect(cleaned.errors.contains("it is passed over"))
        #expect(try run("/usr/bin/find", [site.repository, "-name", ".*.tmp"]).output == "")
        chmod(folder, 0o750)
    }
}

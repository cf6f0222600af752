import Platform
import Support
import Testing

/// Backups with missing objects don't count as backups.
@Suite(.serialized) struct LostPacksServerTests {
    /// Which of two backups are damaged, how, and whether a verification had to find it.
    private struct Row: Sendable, CustomTestStringConvertible {
        let testDescription: String
        let script: String
        var isVerified = false
        var isAll = false
    }

    private static let rows = [
        Row(testDescription: "the newest one's packs are gone", script: "rm -f $0/*"),
        Row(testDescription: "the newest one's pack is too short", script: "truncate -s 100 $0/000001"),
        Row(
            testDescription: "the newest one's pack is too short, and another has more bytes than that",
            script: "truncate -s -100 $0/000001; head -c 9999 /dev/zero >$0/000099"),
        Row(testDescription: "the newest one's pack is too long", script: "echo more >>$0/000001"),
        Row(
            testDescription: "the newest one's pack is damaged, and a verification has found that",
            script: "printf '\\245\\245\\245\\245' | dd of=$0/000001 bs=1 seek=5000 conv=notrunc status=none",
            isVerified: true),
        Row(testDescription: "every backup's packs are gone", script: "rm -f $0/*", isAll: true),
    ]

    private func site() throws -> (site: TestSite, labels: [String]) {
        let site = try TestSite(initdb: ["--wal-segsize=1"])
        try site.cluster.psql("create table t as select generate_series(1, 100) n")
        for _ in 0..<2 {
            try site.tidemark(["backup"], expectSuccess: true)
            try site.cluster.psql("insert into t select generate_series(1, 3000)")
            try site.archiveEverything()
            // Labels have whole seconds.
            try site.cluster.psql("select pg_sleep(1.1)")
        }
        return (site, try site.backupLabels().sorted())
    }

    @Test(arguments: rows) private func `a damaged backup is no backup`(_ row: Row) throws {
        let (site, labels) = try site()
        try #require(labels.count == 2)
        let folder = "\(site.repository)/main/\(try Files.list(site.repository + "/main")[0])"
        for label in row.isAll ? labels : [labels[1]] {
            try runAsServerUser("/bin/bash", ["-ec", row.script, "\(folder)/pack/\(label)"])
        }
        if row.isVerified { #expect(try site.tidemark(["verify", "--backups"]).ending == .exited(3)) }
        func check(_ name: String) throws -> String {
            let finished = try site.tidemark(["check", "--only", name])
            return finished.output + finished.errors
        }
        let plan = try site.tidemark(["plan", "--target", "latest", "--data-directory", site.scratch.file("new")])
        let status = try site.tidemark(["status"]).output
        if row.isAll {
            for name in ["rpo", "recovery_window", "backup_age"] {
                let said = try check(name)
                #expect(said.contains("critical") && said.contains("is damaged"), "\(name): \(said)")
            }
            #expect(status.contains("I would lose      everything"), "\(status)")
            // There is nothing better; the plan says that it is damaged.
            #expect(plan.output.contains("This recovery restores what is damaged"), "\(plan)")
            return
        }
        // Damage that only a verification finds is attributed to "verify".
        if !row.isVerified {
            let age = try check("backup_age")
            #expect(age.contains(labels[1]) && age.contains("The newest other one, \"\(labels[0])\""), "\(age)")
        }
        for name in ["rpo", "recovery_window"] {
            let said = try check(name)
            #expect(said.contains("ok") && !said.contains("critical"), "\(name): \(said)")
        }
        #expect(!status.contains("everything"), "\(status)")
        #expect(plan.ending == .exited(0), "\(plan)")
        #expect(plan.output.contains("\(labels[0]), ended") && plan.output.contains("newest sound one"), "\(plan)")
        #expect(
            plan.output.contains("Backup \"\(labels[1])\" is passed over, because it is damaged")
                && !plan.output.contains("restores what is damaged"), "\(plan)")
        let copy = site.scratch.file("copy")
        try site.tidemark(["recover", "--target", "latest", "--data-directory", copy, "--yes"], expectSuccess: true)
        // It can be named, with a warning.
        let named = try site.tidemark(["plan", "--target", "latest", "--backup", labels[1]])
        #expect(named.output.contains("This recovery restores what is damaged"), "\(named)")
    }
}

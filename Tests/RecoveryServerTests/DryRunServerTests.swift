import Platform
import Support
import Testing

/// Commands that only look leave the repository, the data directory and every other directory unchanged.
@Suite struct DryRunServerTests {
    private struct Look {
        let words: [String]
        var status: Int32 = 0
        /// Whether the data directory's server may take writes meanwhile.
        var besideServer = true
    }

    /// Every file: kind, inode, mode, times, size, target, and content.
    private func listing(_ directories: [String]) throws -> String {
        let script = """
            find "$@" -printf '%p %y %i %m %T@ %C@ %s %l\\n' | sort; find "$@" -type f -exec md5sum {} + | sort
            """
        let finished = try run("/bin/sh", ["-c", script, "sh"] + directories)
        try #require(finished.ending == .exited(0) && finished.output.count > 10_000, "\(finished.errors)")
        return finished.output
    }

    @Test func `a plan and a dry run touch nothing`() throws {
        let site = try TestSite(initdb: ["--wal-segsize=1"])
        let space = site.scratch.file("space")
        try runAsServerUser("/bin/mkdir", [space])
        try site.cluster.psql("create tablespace fast location '\(space)'")
        try site.cluster.psql("create table gone (n int); create table t tablespace fast as select 1 n")
        try site.tidemark(["backup"], expectSuccess: true)
        try site.cluster.psql("insert into t values (2)")
        try site.cluster.psql("drop table gone")
        try site.cluster.psql("insert into t values (3)")
        try site.archiveEverything()
        let copy = site.scratch.file("copy")
        let mapping = ["--tablespace-mapping", "\(space)=\(site.scratch.file("other"))"]
        try site.tidemark(
            ["recover", "--target", "immediate", "--yes", "--data-directory", copy] + mapping, expectSuccess: true)

        let new = ["--data-directory", site.scratch.file("new")]
        let free = ["--tablespace-mapping", "\(space)=\(site.scratch.file("third"))"]
        let latest = ["--target", "latest"]
        let late = ["--target-time", "2099-01-01 00:00:00+00"]
        let recover = ["recover", "--dry-run"]
        let dump = ["--to-file", site.scratch.file("t.dump")]
        let looks = [
            Look(words: ["plan"] + latest), Look(words: ["plan", "--json"] + latest + new + free),
            Look(words: ["plan", "--use-partial"] + latest), Look(words: ["plan"] + late, status: 4),
            Look(words: ["plan", "--before-drop", "postgres.public.gone"]),
            Look(words: recover + latest + new + free + ["--start", "--yes"]),
            Look(words: recover + late + new, status: 4),
            Look(words: recover + latest + mapping + ["--data-directory", copy], status: 1),
            Look(words: recover + latest + mapping + ["--data-directory", copy, "--keep-old", "--yes"]),
            Look(words: recover + latest + mapping + ["--data-directory", copy, "--delta", "--yes"]),
            Look(words: recover + latest + ["--start", "--yes"], besideServer: false),
            Look(words: recover + latest + ["--delta", "--start", "--yes"], besideServer: false),
            Look(words: recover + late + ["--yes"], status: 4, besideServer: false),
            Look(words: ["recover-table", "--table", "postgres.public.t", "--dry-run"] + latest + dump),
        ]
        func look(_ watched: [String], isLiving: Bool) throws {
            for look in looks where !isLiving || look.besideServer {
                let before = try listing(watched)
                let finished = try site.tidemark(look.words)
                #expect(finished.ending == .exited(look.status), "\(look.words): \(finished)")
                #expect(try listing(watched) == before, "\(look.words)")
                #expect(try Files.listIfPresent(site.scratch.file("state/scratch")) == [], "\(look.words)")
                for place in ["new", "third", "t.dump"] {
                    #expect(try !Files.exists(site.scratch.file(place)), "\(look.words)")
                }
            }
        }
        let elsewhere = [
            site.repository, copy, space, site.scratch.file("other"), site.scratch.file("state/main/recover"),
        ]
        try look(elsewhere, isLiving: true)
        // Commands that only look don't archive the dead server's last segment.
        try site.cluster.psql("insert into t values (4)")
        try site.cluster.stop(mode: "immediate")
        try look(elsewhere + [site.cluster.data], isLiving: false)
    }
}

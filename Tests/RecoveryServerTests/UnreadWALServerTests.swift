import Platform
import Support
import Testing

/// What is looked up in the archive about what happened, where some of it can't be read.
@Suite(.serialized) struct UnreadWALServerTests {
    /// What becomes of the segment in the middle: nobody may open it, it is damaged, or it isn't there.
    enum Loss: String, CaseIterable, Sendable { case forbidden, head, content, missing }

    @Test(arguments: Loss.allCases) func `the rest is told, with what isn't known`(_ loss: Loss) throws {
        let site = try TestSite()
        let cluster = site.cluster
        for name in ["before", "behind", "later"] { try cluster.psql("create table \(name) as select 1 as a") }
        try site.tidemark(["backup", "--no-expire"], expectSuccess: true)
        try cluster.psql("drop table before")
        try site.archiveEverything()
        try cluster.psql("create table x as select 1 as a")
        let name = try cluster.psql("select pg_walfile_name(pg_current_wal_lsn())")
        try site.archiveEverything()
        let time = try cluster.psql(
            "select to_char(clock_timestamp() at time zone 'UTC', 'YYYY-MM-DD HH24:MI:SS.US+00')")
        try cluster.psql("insert into x values (2); drop table behind")
        try site.archiveEverything()
        let path = try runAsServerUser("/usr/bin/find", [site.repository, "-name", "\(name).zst"]).output
            .split(separator: "\n").joined()
        switch loss {
        case .forbidden: try runAsServerUser("/bin/chmod", ["000", path])
        case .missing: try runAsServerUser("/bin/rm", [path])
        case .head, .content:
            var bytes = try Files.read(path)
            let place = loss == .head ? 60 : bytes.count - 60
            bytes[place] ^= 0xFF
            try replaceDurably(path, bytes: bytes, mode: 0o644)
            try runAsServerUser("/bin/true", [])
        }
        func plan(_ options: [String]) throws -> Finished { try site.tidemark(["plan"] + options) }
        func names(_ finished: Finished) -> Bool { (finished.output + finished.errors).contains(name) }

        let around = try site.tidemark(["around", "--target-time", time, "--count", "3"])
        #expect(around.ending == .exited(3) && names(around), "\(around)")
        for side in [" before ", " after "] { #expect(around.output.contains(side), "\(around)") }
        let json = try site.tidemark(["around", "--target-time", time, "--count", "3", "--json"])
        #expect(json.ending == .exited(3) && names(json), "\(json)")

        // One damaged behind its head tells what was dropped in it without being read as a whole; `verify` finds out.
        if loss == .content { return }
        let before = try plan(["--before-drop", "postgres.public.before"])
        #expect(before.ending == .exited(0), "\(before)")
        #expect(before.output.contains("A later table of this name may have been dropped as well"), "\(before)")
        #expect(names(before), "\(before)")
        let behind = try plan(["--before-drop", "postgres.public.behind"])
        #expect(behind.ending == .exited(4) && names(behind), "\(behind)")
        let never = try plan(["--before-drop", "postgres.public.x"])
        // Another attempt may succeed where nobody could ask.
        let status: Int32 = loss == .forbidden ? 1 : 4
        #expect(never.ending == .exited(status) && names(never), "\(never)")
        #expect(never.errors.contains("cannot tell whether table "), "\(never)")
        let database = try plan(["--before-drop-database", "nothing"])
        #expect(database.ending == .exited(status) && names(database), "\(database)")
        #expect(database.errors.contains("cannot tell whether database \"nothing\" was dropped"), "\(database)")

        // From the next backup on nothing is missing.
        try site.tidemark(["backup", "--no-expire"], expectSuccess: true)
        try cluster.psql("drop table later")
        try site.archiveEverything()
        let later = try plan(["--before-drop", "postgres.public.later"])
        #expect(later.ending == .exited(0) && !later.output.contains("may have been dropped"), "\(later)")
        let again = try plan(["--before-drop", "postgres.public.behind"])
        #expect(again.ending == .exited(4) && names(again), "\(again)")
        let first = try plan(["--before-drop", "postgres.public.before"])
        #expect(first.ending == .exited(0) && names(first), "\(first)")
    }
}

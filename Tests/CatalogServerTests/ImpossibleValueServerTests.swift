import Glibc
import Platform
import Support
import Testing

/// Values in a catalog's rows that tidemark can't have written, as a flipped bit leaves them: SQLite sees nothing
/// wrong.
@Suite(.serialized) struct ImpossibleValueServerTests {
    private static let site = TestSite.shared {
        let site = try TestSite(initdb: ["--wal-segsize=1"])
        try site.tidemark(["backup"], expectSuccess: true)
        try site.cluster.psql("create table t as select 1; drop table t")
        try site.archiveEverything()
        try site.tidemark(["window"], expectSuccess: true)
        return site
    }
    private static let lookers = [["window"], ["events"], ["segments"], ["plan", "--target", "latest"]]

    private static let python = """
        import sqlite3, sys
        c = sqlite3.connect(sys.argv[1])
        """

    private func python(_ script: String, _ arguments: [String]) throws -> String {
        try runAsServerUser("/usr/bin/python3", ["-c", Self.python + "\n" + script] + arguments).output
    }

    /// Every column of every table, as `table column`.
    private func columns(_ catalog: String) throws -> [String] {
        try python(
            """
            for (t,) in c.execute("select name from sqlite_master where type = 'table' and name <> 'outside_change'"):
                for row in c.execute(f"pragma table_info({t})"): print(t, row[1])
            """, [catalog]
        ).split(separator: "\n").map(String.init)
    }

    /// Without the trigger that records a change: the value is as in a damaged file.
    private static let change = """
        table, column, value, condition = sys.argv[2:]
        c.execute(f"drop trigger outside_UPDATE_of_{table}")
        c.execute(f"update or ignore {table} set {column} = ? where {condition}", (value,))
        c.commit()
        """

    private func answer(_ site: TestSite, _ command: [String]) throws -> (finished: Finished, lines: [Substring]) {
        let finished = try site.tidemark(command)
        // Removes ages, which change.
        return (finished, finished.output.split(separator: "\n").filter { !$0.contains(" old.") })
    }

    /// Columns whose wrong values must be noticed, since a command's output would be wrong.
    private static let noticed = [
        "run first", "run last", "run timeline", "segment state", "segment link", "chunk segments",
        "event number", "event facts",
    ]

    @Test func `an impossible value is noticed or changes nothing, whatever the query`() throws {
        let site = try Self.site.get()
        let state = try site.learned()
        let file = try #require(try Files.list(state).first { $0.hasSuffix(".catalog") })
        let (catalog, kept) = ("\(state)/\(file)", site.scratch.file("kept"))
        _ = try python("c.execute(\"pragma wal_checkpoint(truncate)\")", [catalog])
        try runAsServerUser("/bin/cp", ["-p", catalog, kept])
        let before = try Self.lookers.map { try answer(site, $0).lines }
        let all = try columns(kept).filter { !$0.hasPrefix("about ") }
        try #require(all.count > 50)
        let rows =
            all.flatMap { column in ["-1", "0"].map { (column, $0, "true") } }
            + ["0", "3", "4294967296", "x"].map {
                ("about value", $0, "name = 'segment_size'")
            }
        for (column, value, condition) in rows {
            let names = column.split(separator: " ").map(String.init)
            var isNoticed = false
            for (look, command) in Self.lookers.enumerated() {
                try runAsServerUser("/bin/sh", ["-c", "rm -f $0-wal $0-shm && cp -p $1 $0", catalog, kept])
                _ = try python(Self.change, [catalog] + names + [value, condition])
                let (finished, lines) = try answer(site, command)
                let said = "\(column) = \(value): \(command): \(finished)"
                // A position may be any number; the window is shorter then.
                #expect(finished.ending == .exited(0) || column == "segment end" && command == ["window"], "\(said)")
                #expect(finished.ending == .exited(0) || finished.ending == .exited(3), "\(said)")
                guard finished.errors.contains("rebuilt from the repository") else { continue }
                isNoticed = true
                #expect(lines == before[look], "\(said)")
            }
            // Some of the columns may well be 0.
            let mustBe = Self.noticed.contains(column) && value != "0" || ["run last", "about value"].contains(column)
            #expect(isNoticed || !mustBe, "\(column) = \(value)")
        }
        // And status says so, too, without a change of the file.
        try runAsServerUser("/bin/sh", ["-c", "rm -f $0-wal $0-shm && cp -p $1 $0", catalog, kept])
        _ = try python(Self.change, [catalog, "run", "last", "0", "true"])
        let status = try site.tidemark(["catalog", "status"])
        let said = status.output + status.errors
        #expect(status.ending != .exited(0) && said.contains("ends at number 0"), "\(status)")
    }
}

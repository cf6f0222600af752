import Platform
import Support
import Testing

/// Tables brought back over the segment in which a timeline was left: under its full name, but ending early, or as
/// `.partial` only. What both timelines have in it is in both files, and each has a drop of its own there.
@Suite struct LeftSegmentTablesServerTests {
    enum Form: String, CaseIterable, Sendable {
        /// The old primary hands over the segment as well, under its full name.
        case left
        /// Only the new primary archived it, as .partial, when it was promoted.
        case partial
    }

    private struct Row: Sendable {
        let name: String
        let arguments: [String]
        /// What a query for the new table gives; nil: refused with status 4.
        var gives: [Form: String] = [:]
        /// What a refusal says.
        var says = ""

        init(_ name: String, _ arguments: String, left: String?, partial: String?, says: String = "") {
            self.name = name
            self.arguments = arguments.split(separator: " ").map(String.init)
            (gives[.left], gives[.partial], self.says) = (left, partial, says)
        }
    }

    private static let old = "--target-timeline 1"
    private static let rows = [
        Row("dropped before the switch point", "-t postgres.public.d1 --before-drop", left: "11", partial: "11"),
        Row(
            "dropped before the switch point, on the old timeline", "-t postgres.public.d1 --before-drop \(old)",
            left: "11", partial: nil, says: "but timeline 2 has"),
        Row("dropped behind the switch point", "-t postgres.public.d2 --before-drop", left: "22", partial: "22"),
        Row(
            "dropped behind the switch point, but not on the old timeline",
            "-t postgres.public.d2 --before-drop \(old)", left: nil, partial: nil, says: "but timeline 2 has"),
        Row(
            "changed before and behind the switch point", "-t postgres.public.k --target latest",
            left: "100 50 50", partial: "100 50 50"),
        Row(
            "changed before the switch point, on the old timeline", "-t postgres.public.k --target latest \(old)",
            left: "100 50 0", partial: "100 0 0"),
        Row(
            "not dropped on the old timeline", "-t postgres.public.d2 --target latest \(old)", left: "21",
            partial: "20"),
    ]

    @Test(arguments: [(TestServer.v15, Form.left), (.v15, .partial), (.v16, .left), (.v18, .left), (.v18, .partial)])
    private func `tables come back over a segment in which a timeline was left`(
        _ version: TestServer, _ form: Form
    ) throws {
        let group = try ServerGroup(version)
        try group.accounted {
            let a = try group.addPrimary()
            try a.psql(
                "create table k (i int primary key, v text)", "create table d1 (i int)", "create table d2 (i int)",
                "insert into k select generate_series(1, 100)", "insert into d1 select generate_series(1, 10)",
                "insert into d2 select generate_series(1, 20)")
            try a.tidemark(["backup"], expectSuccess: true)
            let b = try group.addStandby("b", of: a)
            try a.psql("select pg_switch_wal()")
            try group.drain(a)
            try a.psql(
                "insert into d1 values (11)", "drop table d1", "update k set v = 'old' where i <= 50",
                "insert into d2 values (21)")
            try group.catchUp(b, with: a)
            let segment = try a.psql("select pg_walfile_name(pg_current_wal_lsn())")
            // A server that is shut down would switch to the next segment first.
            try a.kill()
            try b.promote()
            try b.psql(
                "update k set v = 'new' where i > 50", "insert into d2 values (22)", "drop table d2",
                "select pg_switch_wal()")
            try group.drain(b)
            let fork = try b.fork()
            if form == .left {
                // Not beside a control file that says that the segment is still written to.
                let copy = "\(group.directory)/old/pg_wal"
                try a.shell("mkdir -p '\(copy)' && cp '\(a.data)/pg_wal/\(segment)' '\(copy)'")
                try b.tidemark(["archive-push", "\(copy)/\(segment)"], expectSuccess: true)
            }
            let archived = try group.archived()
            #expect(archived.contains(segment) == (form == .left), "\(archived)")
            #expect(archived.contains("0000000200" + segment.dropFirst(10)), "\(fork): \(archived)")
            for (number, row) in Self.rows.enumerated() {
                let told = try b.tidemark(["recover-table", "--into-table=public.r\(number)", "--yes"] + row.arguments)
                guard let expected = row.gives[form] else {
                    #expect(told.ending == .exited(4) && told.errors.contains(row.says), "\(row.name): \(told)")
                    continue
                }
                #expect(told.ending == .exited(0), "\(row.name): \(told)")
                let values = ", ' ', count(nullif(v, 'new')), ' ', count(nullif(v, 'old'))"
                let counts = expected.contains(" ") ? values : ""
                let found = try b.psql("select concat(count(*)\(counts)) from r\(number)")
                #expect(found == expected, "\(row.name): \(told)")
            }
        }
    }
}

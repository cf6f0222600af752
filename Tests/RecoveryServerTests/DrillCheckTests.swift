import Platform
import Recovery
import Support
import Testing

/// `drill_min_rows` names tables and numbers, and nothing else.
@Suite struct DrillCheckTests {
    static let readable: [(String, [DrillCheck])] = [
        ("", []), ("  ", []),
        ("public.t=10", [.rows(schema: "public", table: "t", atLeast: 10)]),
        (
            " Public.T = 1 ,\"Sales Area\".\"a,b=\"\"c\"\".d\"=0",
            [
                .rows(schema: "public", table: "t", atLeast: 1),
                .rows(schema: "Sales Area", table: "a,b=\"c\".d", atLeast: 0),
            ]
        ),
        ("öffentlich._t$1=9223372036854775807", [.rows(schema: "öffentlich", table: "_t$1", atLeast: .max)]),
    ]
    static let unreadable = [
        "t=10", "public.t", "public.t=", "public.t=ten", "public.t=-1", "public.t=1.5", "public.t=9223372036854775808",
        "public.t where false; drop table t=1", "public.t;=1", "(select 1).t=1", "public.t=1;", "public.t=1,", ",",
        "public.t=1 2", "a.b.c=1", "public.\"t=1", "\"\".t=1", ".t=1", "1a.t=1", "public.t--=1", "public.t=1 or 1",
    ]

    @Test(arguments: readable.indices) func `a list of minimums is read as SQL reads names`(_ index: Int) throws {
        #expect(try DrillCheck.minimums(Self.readable[index].0) == Self.readable[index].1)
    }

    @Test(arguments: unreadable) func `an invalid list of minimums is refused`(_ text: String) {
        let problem = #expect(throws: Problem.self) { try DrillCheck.minimums(text) }
        #expect(problem?.message == "drill_min_rows must be a list of schema.table=number, not \"\(text)\"")
    }

    @Test func `odd names are counted, and nothing but counted`() throws {
        let name = "a b\"; drop table public.kept; --"
        let site = try TestSite(initdb: ["--wal-segsize=1"])
        try site.cluster.psql("create table kept as select 1 n; create table \(quotedIdentifier(name)) as select 1 n")
        try site.tidemark(["backup"], expectSuccess: true)
        try site.archiveEverything()
        let counts = "public.\(quotedIdentifier(name))=1, PUBLIC.kept=1"
        let drill = try site.tidemark(["drill", "--drill-min-rows", counts])
        #expect(drill.ending == .exited(0), "\(drill)")
        let more = try site.tidemark(["drill", "--drill-min-rows", "public.\(quotedIdentifier(name))=2"])
        #expect(more.ending == .exited(3), "\(more)")
        #expect(more.output.contains("Table public.\(quotedIdentifier(name)) has 1 row; at least 2 were expected."))
        let refused = try site.tidemark(["drill", "--drill-min-rows", "public.kept where false=1"])
        #expect(refused.ending == .exited(1), "\(refused)")
        #expect(refused.errors.contains("drill_min_rows must be a list of schema.table=number"), "\(refused)")
    }
}

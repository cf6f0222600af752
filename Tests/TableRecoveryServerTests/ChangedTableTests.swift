import Platform
import Support
import Testing

/// A change of table "t" after the target, in a schema of its own. Some rows are then deleted, too.
private struct Change: Sendable, CustomTestStringConvertible {
    enum Outcome {
        /// Rows are not put back, for these reasons.
        case refused([String])
        /// The six rows are back, with this note, or with none.
        case putBack(note: String?)
    }
    let schema: String
    let definition: String
    let change: String
    var isReplaced = false
    let outcome: Outcome
    var testDescription: String { schema }

    init(
        _ schema: String, columns: String = "a text, b text", values: String = "'a' || n, 'b' || n",
        isReplaced: Bool = false, more: String = "", _ change: String, _ outcome: Outcome
    ) {
        self.schema = schema
        definition = """
            create table t (id int primary key, \(columns)); insert into t select n, \(values) from generate_series(1, 6) n; \(more)
            """
        (self.change, self.outcome, self.isReplaced) = (change, outcome, isReplaced)
    }
}

private let lost = "delete from t where id <= 3; "
private let another =
    "create table u (id int primary key, a text, b text); insert into u select n, 'u', 'v' from generate_series(1, 4) n"

private let changes = [
    Change(
        "columns_exchanged",
        lost + "alter table t rename a to c; alter table t rename b to a; alter table t rename c to b",
        .refused([
            "Column \"a\" of table \"columns_exchanged.t\" is named \"b\" today.",
            "Column \"b\" of table \"columns_exchanged.t\" is named \"a\" today.",
        ])),
    Change(
        "column_renamed", lost + "alter table t rename a to aa",
        .refused(["Column \"a\" of table \"column_renamed.t\" is named \"aa\" today."])),
    Change(
        "column_retyped", columns: "a timestamptz", values: "now()", lost + "alter table t alter a type date",
        .refused([
            "Column \"a\" of table \"column_retyped.t\" was of type timestamp with time zone, and is of type date today."
        ])),
    Change(
        "column_shortened", columns: "a varchar(9)", values: "n", lost + "alter table t alter a type varchar(5)",
        .refused(["was of type character varying(9), and is of type character varying(5) today."])),
    Change(
        "type_renamed", columns: "a mood", values: "'fine'", lost + "alter type mood rename to feeling",
        .refused(["was of type type_renamed.mood, and is of type type_renamed.feeling today."])),
    Change(
        "column_made_anew",
        lost + "alter table t add c text; update t set c = b; alter table t drop b; alter table t rename c to b",
        .refused(["Column \"b\" of table \"column_made_anew.t\" was dropped, and another of that name added."])),
    Change(
        "column_computed", columns: "b text, a int generated always as (id * 2) stored", values: "'b' || n",
        lost + "alter table t alter a drop expression",
        .refused(["Column \"a\" of table \"column_computed.t\" was generated at the target, and is not today."])),
    Change(
        "tables_exchanged", more: another,
        "delete from t where id > 2; alter table t rename to x; alter table u rename to t; alter table x rename to u",
        .refused([
            "The table that was \"tables_exchanged.t\" at the target is \"tables_exchanged.u\" today.",
            "Table \"tables_exchanged.t\" was \"tables_exchanged.u\" at the target.",
        ])),
    Change(
        "table_put_aside", "alter table t rename to t_old; create table t (like t_old including all)",
        .refused(["The table that was \"table_put_aside.t\" at the target is \"table_put_aside.t_old\" today."])),
    Change(
        "table_moved", "alter table t set schema public; create table t (like public.t including all)",
        .refused(["The table that was \"table_moved.t\" at the target is \"public.t\" today."])),
    Change(
        "name_taken_over", more: another, "drop table t; alter table u rename to t",
        .refused(["Table \"name_taken_over.t\" was \"name_taken_over.u\" at the target."])),
    Change(
        "table_partitioned",
        """
        alter table t rename to t_1; create table t (id int primary key, a text, b text) partition by range (id);
        alter table t attach partition t_1 for values from (0) to (100); delete from t where id <= 3
        """, .refused(["The table that was \"table_partitioned.t\" at the target is \"table_partitioned.t_1\" today."])),
    Change(
        "anew_with_another_type",
        "drop table t; create table t (id int primary key, a varchar(3), b text)",
        .refused([
            "Column \"a\" of table \"anew_with_another_type.t\" was of type text, and is of type character varying(3)"
        ])),
    Change(
        "anew_with_another_name", "drop table t; create table t (id int primary key, aa text, b text)",
        .refused(["it lacks what was \"a\" at the target, and has \"aa\"."])),

    Change("column_dropped", lost + "alter table t drop a", .putBack(note: nil)),
    Change("column_added", lost + "alter table t add c text default 'c'", .putBack(note: nil)),
    Change(
        "names_restored",
        lost
            + "alter table t rename to x; alter table x rename a to c; alter table x rename c to a; alter table x rename to t",
        .putBack(note: nil)),
    Change(
        "anew_in_another_order", "drop table t; create table t (b text, a text, id int primary key)",
        .putBack(note: "Table \"anew_in_another_order.t\" was created anew after the target")),
    Change(
        "replaced", isReplaced: true, lost, .putBack(note: "Table \"replaced.t\" was created anew after the target")),
]

@Suite(.serialized) struct ChangedTableTests {
    private static let site = TestSite.shared {
        let shop = try Shop("create schema type_renamed; create type type_renamed.mood as enum ('fine')")
        for change in changes {
            try shop.sql(
                "create schema if not exists \(change.schema); set search_path to \(change.schema); \(change.definition)"
            )
        }
        try shop.backup()
        try shop.sql("create table target as select '\(shop.moment())' as time")
        try shop.site.archiveEverything()
        return shop.site
    }

    @Test(arguments: changes)
    private func `rows are put back into the table and the columns they are from, or not at all`(_ change: Change)
        throws
    {
        let shop = Shop(try Self.site.get())
        let time = try shop.sql("select time from target")
        let table = ["-t", "shop.\(change.schema).t", "--target-time", time]
        if change.isReplaced { try shop.recover(table + ["--replace", "--yes"]) }
        try shop.sql("set search_path to \(change.schema); \(change.change)")
        let before = try shop.fingerprint("\(change.schema).t")
        let apply = ["--diff", "--apply", "missing", "--yes"]
        switch change.outcome {
        case .refused(let sentences):
            let compared = try shop.recover(table + ["--diff"], expectSuccess: false)
            #expect(compared.ending == .exited(3), "\(compared)")
            let refused = try shop.recover(table + apply, expectSuccess: false)
            #expect(refused.ending == .exited(1), "\(refused)")
            #expect(
                refused.errors.contains("cannot put rows back into table \"\(change.schema).t\": it is not as it was"),
                "\(refused)")
            for sentence in sentences {
                #expect(refused.errors.contains(sentence), "\(refused)")
                #expect(compared.errors.contains(sentence), "\(compared)")
            }
            #expect(try shop.fingerprint("\(change.schema).t") == before)
        case .putBack(let note):
            let finished = try shop.recover(table + apply)
            #expect(
                try shop.sql("select count(*), max(b), count(distinct b) from \(change.schema).t") == "6|b6|6",
                "\(finished)")
            #expect(finished.errors.contains("created anew") == (note != nil), "\(finished)")
            if let note { #expect(finished.errors.contains(note), "\(finished)") }
        }
    }

    @Test func `all tables that have changed are named at once, and their rows come back beside them`() throws {
        let shop = try Shop(
            """
            create table a (id int primary key, t text); create table b (id int primary key, t text);
            create table c (id int primary key); insert into a values (1, 'x'); insert into c values (1)
            """)
        try shop.backup()
        let target = try shop.moment()
        try shop.sql("delete from a; delete from c; alter table a rename t to u; alter table b rename t to u")
        try shop.site.archiveEverything()
        let tables = ["-t", "shop.public.*", "--target-time", target]
        let refused = try shop.recover(tables + ["--diff", "--apply", "missing", "--yes"], expectSuccess: false)
        #expect(
            refused.errors.contains("cannot put rows back into tables \"public.a\", \"public.b\": they are"),
            "\(refused)")
        #expect(refused.errors.contains("Bring the rows back with --into-table instead of --diff"), "\(refused)")
        #expect(try shop.sql("select (select count(*) from a), (select count(*) from c)") == "0|0")
        try shop.recover(tables + ["--into-table"])
        #expect(try shop.sql("select id, t from \(shop.restored("a"))") == "1|x")
    }
}

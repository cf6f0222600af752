import Platform
import Support
import Testing

/// A table "t" with a constraint that ON CONFLICT doesn't support, in a schema of its own.
private struct Deferrable: Sendable, CustomTestStringConvertible {
    let schema: String
    let definition: String
    let change: String
    /// How many rows are missing, and how many of them come back.
    let missing: Int
    let putBack: Int
    var testDescription: String { schema }

    init(_ schema: String, _ definition: String, _ change: String, missing: Int, putBack: Int) {
        (self.schema, self.definition, self.change) = (schema, definition, change)
        (self.missing, self.putBack) = (missing, putBack)
    }
}

private let coded = "insert into t select n, 'c' || n from generate_series(1, 9) n"

private let deferrables = [
    Deferrable(
        "immediate", "create table t (id int primary key, code text unique deferrable); \(coded)",
        "delete from t where id <= 4; insert into t values (11, 'c1'), (12, null)", missing: 4, putBack: 3),
    Deferrable(
        "deferred", "create table t (id int primary key, code text unique deferrable initially deferred); \(coded)",
        "delete from t where id <= 4; insert into t values (11, 'c1')", missing: 4, putBack: 3),
    Deferrable(
        "primary_key", "create table t (id int primary key deferrable, code text unique); \(coded)",
        "delete from t where id <= 4; insert into t values (11, 'c2')", missing: 4, putBack: 3),
    Deferrable(
        "of_two_columns",
        "create table t (id int primary key, code text, n int default 1, unique (n, code) deferrable); insert into t select n, 'c' || n from generate_series(1, 9) n",
        "delete from t where id <= 4; insert into t values (11, 'c2', 2), (12, 'c3', 1)", missing: 4, putBack: 3),
    Deferrable(
        "nulls",
        "create table t (id int primary key, code text unique nulls not distinct, n int unique deferrable); insert into t values (1, null), (2, 'a'), (3, 'b')",
        "delete from t; insert into t values (4, null)", missing: 3, putBack: 2),
    Deferrable(
        "expressions_beside",
        """
        create table t (id int primary key, code text, done bool default false, n int unique deferrable);
        create unique index on t (lower(code), (id % 2)) where not done; insert into t select n, 'C' || n from generate_series(1, 9) n
        """,
        """
        delete from t where id <= 4;
        insert into t values (11, 'c1', false), (13, 'c2', false), (14, 'c2', true), (15, 'c3', true)
        """, missing: 4, putBack: 3),
    Deferrable(
        "exclusion",
        """
        create table t (id int primary key, during int4range, exclude using gist (during with &&) deferrable);
        insert into t select n, int4range(n * 10, n * 10 + 5) from generate_series(1, 9) n
        """,
        "delete from t where id <= 4; insert into t values (11, '[12,13]'), (12, '[27,29]')", missing: 4, putBack: 3),
    Deferrable(
        "exclusion_of_expressions",
        """
        create table t (id int primary key, a int, b int, live bool default true,
            exclude using gist (int4range(a, b) with &&) where (live) deferrable initially deferred);
        insert into t select n, n * 10, n * 10 + 5 from generate_series(1, 9) n
        """,
        "delete from t where id <= 4; insert into t values (11, 12, 13, true), (12, 22, 23, false)", missing: 4,
        putBack: 3),
    Deferrable(
        "generated",
        """
        create table t (id int primary key, a text, code text generated always as (lower(a)) stored unique deferrable);
        insert into t select n, 'C' || n from generate_series(1, 9) n
        """, "delete from t where id <= 4; insert into t values (11, 'c1')", missing: 4, putBack: 3),
    Deferrable(
        "partitions",
        """
        create table t (id int, part int, code text, n int, primary key (id, part), unique (part, n) deferrable) partition by list (part);
        create table t_1 partition of t for values in (1); create table t_2 partition of t for values in (2);
        alter table t_2 add unique (code) deferrable;
        insert into t select n, 1 + n % 2, 'c' || n, n from generate_series(1, 9) n
        """,
        // Only the other partition holds c1 and c4.
        """
        delete from t where id <= 4;
        insert into t values (11, 2, 'c3', 11), (12, 1, 'c1', 12), (14, 1, 'y', 2), (15, 2, 'c4', 15)
        """, missing: 4, putBack: 2),
    Deferrable(
        "children",
        """
        create table t (id int primary key, code text unique deferrable); create table u () inherits (t); \(coded);
        insert into u select n + 100, 'c' || n from generate_series(1, 9) n; alter table u add primary key (id)
        """, "delete from only t where id <= 4; insert into t values (11, 'c1')", missing: 4, putBack: 3),
    Deferrable(
        "added_since",
        "create table t (id int primary key, code text); insert into t select n, n / 2 from generate_series(1, 9) n",
        """
        delete from t where id <= 8; alter table t add unique (code) deferrable; alter table t add serial serial unique deferrable;
        alter table t add marked int generated by default as identity
        """, missing: 8, putBack: 4),
    Deferrable(
        "keys_in_a_circle",
        """
        create table t (id int primary key, code int unique deferrable, next int references t); insert into t values (1, 1, null), (2, 2, 1);
        update t set next = 2
        """, "delete from t", missing: 2, putBack: 2),
]

@Suite(.serialized) struct DeferrableTests {
    private static let site = TestSite.shared {
        let shop = try Shop()
        for row in deferrables {
            try shop.sql("create schema \(row.schema); set search_path to \(row.schema); \(row.definition)")
        }
        try shop.backup()
        try shop.sql("create table target as select '\(shop.moment())' as time")
        for row in deferrables { try shop.sql("set search_path to \(row.schema); \(row.change)") }
        try shop.site.archiveEverything()
        return shop.site
    }

    @Test(arguments: deferrables)
    private func `rows that a deferrable constraint allows come back, the others are reported`(_ row: Deferrable) throws
    {
        let shop = Shop(try Self.site.get())
        let time = try shop.sql("select time from target")
        let before = try shop.sql("select count(*) from \(row.schema).t")
        let finished = try shop.recover(
            ["-t", "shop.\(row.schema).t", "--target-time", time, "--diff", "--apply", "missing", "--yes"],
            expectSuccess: false)
        #expect(finished.ending == .exited(row.putBack < row.missing ? 3 : 0), "\(finished)")
        #expect(finished.output.contains("\(row.missing) missing"), "\(finished)")
        #expect(finished.output.contains("; \(row.putBack) put back"), "\(finished)")
        #expect(
            finished.output.contains("Unique or exclusion constraints don't allow the others")
                == (row.putBack < row.missing), "\(finished)")
        #expect(try shop.sql("select count(*) - \(before) from \(row.schema).t") == "\(row.putBack)")
    }
}

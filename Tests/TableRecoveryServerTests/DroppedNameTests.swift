import Platform
import Support
import Testing
import WAL

/// One history of a table "public.t", in a database of its own.
private struct NamedDrop: Sendable, CustomTestStringConvertible {
    let name: String
    /// SQL before the first backup; the table exists afterwards unless this drops it.
    var before = ["create table t (id int)"]
    /// SQL before a second backup.
    var between: [String] = []
    /// SQL after the backups; "!" marks the drop meant by `--before-drop`.
    var after: [String] = []
    /// Whether a younger table of the name may be among the dropped ones.
    var isDoubtful = false
    var testDescription: String { name }
}

private let nightly = "begin; drop table t; create table t (id int); commit"

private let namedDrops = [
    NamedDrop(name: "dropped once", after: ["!drop table t"]),
    NamedDrop(name: "remade every night", after: [nightly, nightly, nightly, "!drop table t"]),
    NamedDrop(name: "remade, with a backup between", between: [nightly], after: [nightly, "!drop table t"]),
    NamedDrop(
        name: "dropped, with a backup between", between: [nightly, "!drop table t"], after: ["create table u ()"]),
    NamedDrop(
        name: "never in a backup", before: [], between: ["create table u ()"],
        after: ["create table t ()", "!drop table t"]),
    NamedDrop(
        name: "never in a backup, and gone before the second", before: [],
        between: ["create table t ()", "!drop table t"]),
    NamedDrop(
        name: "remade in a younger schema",
        after: ["!drop table t", "create schema s create table t (id int)", "drop table s.t"]),
    NamedDrop(
        name: "remade in an older schema",
        before: ["create table t (id int)", "create schema s create table other ()"],
        after: ["!drop table t", "create table s.t (id int)", "drop table s.t"]),
    NamedDrop(
        name: "moved into another schema",
        before: ["create table t (id int)", "create schema s create table other ()"],
        after: ["!drop table t", "create table t (id int)", "alter table t set schema s", "drop table s.t"]),
    NamedDrop(
        name: "a younger one renamed to it",
        after: ["create table new (id int)", "drop table t", "alter table new rename to t", "!drop table t"]),
    NamedDrop(
        name: "an older one renamed to it", before: ["create table t (id int)", "create table old (id int)"],
        after: ["drop table t", "alter table old rename to t", "!drop table t"]),
    NamedDrop(
        name: "renamed in vain", before: ["create table t (id int)", "create table old (id int)"],
        after: ["!drop table t", "begin; alter table old rename to t; rollback", "drop table old"]),
    NamedDrop(
        name: "renamed in a savepoint in vain", before: ["create table t (id int)", "create table old (id int)"],
        after: [
            "!drop table t",
            "begin; create table x (); savepoint a; alter table old rename to t; rollback to a; commit",
            "drop table old",
        ]),
    NamedDrop(
        name: "dropped in a savepoint in vain",
        after: ["begin; create table x (); savepoint a; drop table t; rollback to a; commit", "!drop table t"]),
    NamedDrop(
        name: "dropped in a savepoint",
        after: ["begin; savepoint a; !drop table t; release a; commit", "create table u ()"]),
    NamedDrop(
        name: "rewritten and emptied", before: ["create table t (id int primary key)"],
        after: [
            "truncate t", "vacuum full t", "cluster t using t_pkey", "alter table t alter id type bigint",
            "!drop table t",
            "create table t (id int primary key)", "truncate t", "vacuum full t", "reindex table t",
        ]),
    NamedDrop(
        name: "made and dropped by one transaction",
        after: ["!drop table t", "begin; create table t (); drop table t; commit"]),
    NamedDrop(name: "a temporary one", after: ["!drop table t", "create temp table t (id int); drop table t"]),
    NamedDrop(name: "a view of its name", after: ["!drop table t", "create view t as select 1", "drop view t"]),
    NamedDrop(
        name: "pages packed by the server's own compression",
        after: [
            "drop table t", "checkpoint", "set wal_compression = pglz; create table t (id int)", "!drop table t",
        ]),
    NamedDrop(
        name: "pages that can't be unpacked",
        after: ["!drop table t", "checkpoint", "set wal_compression = lz4; create table t (id int)", "drop table t"],
        isDoubtful: true),
    NamedDrop(
        name: "pages that can't be unpacked, and no older one", before: [],
        after: ["checkpoint", "set wal_compression = lz4; create table t (id int)", "drop table t"], isDoubtful: true),
]

/// The right one of several tables that have had the same name is recovered.
@Suite(.serialized) struct DroppedNameTests {
    @Test func `the last table of a name is the one that was dropped`() throws {
        let site = try TestSite(initdb: ["--wal-segsize=1"])
        func sql(_ text: String, _ number: Int) throws -> String {
            try site.cluster.psql(text, database: "case\(number)")
        }
        var meant: [Int: ClosedRange<LSN>] = [:]
        var newest: [Int: ClosedRange<LSN>] = [:]
        func position() throws -> LSN { try #require(LSN(site.cluster.psql("select pg_current_wal_insert_lsn()"))) }
        func run(_ steps: [String], _ number: Int) throws {
            var begin = try position()
            for step in steps {
                _ = try sql(step.filter { $0 != "!" }, number)
                let end = try position()
                newest[number] = begin...end
                if step.contains("!") { meant[number] = newest[number] }
                begin = end
            }
        }
        for (number, one) in namedDrops.enumerated() {
            try site.cluster.psql("create database case\(number) strategy file_copy")
            try run(one.before, number)
        }
        try site.tidemark(["backup"], expectSuccess: true)
        for (number, one) in namedDrops.enumerated() { try run(one.between, number) }
        try site.tidemark(["backup"], expectSuccess: true)
        for (number, one) in namedDrops.enumerated() { try run(one.after, number) }
        try site.archiveEverything()
        for (number, one) in namedDrops.enumerated() {
            try check(one, "case\(number)", meant: meant[number], newest: #require(newest[number]), site)
        }
    }

    private func check(
        _ one: NamedDrop, _ database: String, meant: ClosedRange<LSN>?, newest: ClosedRange<LSN>, _ site: TestSite
    ) throws {
        let planned = try site.tidemark(["plan", "--before-drop", "\(database).public.t", "--json"])
        if let meant {
            #expect(planned.ending == .exited(0), "\(one): \(planned.errors)")
            let stop = try #require(planned.output.lsn(of: "lsn"), "\(one): \(planned.output)")
            #expect(meant.contains(stop), "\(one): \(stop), not \(meant); \(planned.errors)")
            #expect(
                planned.output.contains("A later table of this name may") == one.isDoubtful, "\(one): \(planned.output)"
            )
        } else {
            #expect(planned.ending == .exited(4), "\(one): \(planned.output)")
        }
        guard one.isDoubtful else { return }
        // Nothing is recovered on a guess; the offered command recovers the table that it names.
        let command = [
            "recover-table", "-t", "\(database).public.t", "--before-drop", "--to-file",
            site.scratch.file("\(database).sql"),
        ]
        let refused = try site.tidemark(command)
        #expect(refused.ending == .exited(meant == nil ? 4 : 1), "\(one): \(refused.errors)")
        #expect(try !Files.exists(site.scratch.file("\(database).sql")))
        let offered = try #require(
            refused.errors.firstMatch(of: /--target-lsn [0-9A-F\/]+ --exclusive/), "\(refused.errors)")
        let words = offered.output.split(separator: " ").map(String.init)
        let there = try site.tidemark(["plan", "--json"] + words, expectSuccess: true)
        #expect(newest.contains(try #require(there.output.lsn(of: "lsn"))), "\(one): \(there.output)")
        if meant != nil { try site.tidemark(command + ["--yes"], expectSuccess: true) }
    }

    @Test func `a table that was remade every night comes back as it was last`() throws {
        let shop = try Shop(
            "create table nightly (id int)", "insert into nightly values (1)", initdb: ["--wal-segsize=1"])
        try shop.backup()
        for night in 2...4 {
            try shop.sql(
                "begin; drop table nightly; create table nightly (id int); insert into nightly values (\(night)); commit"
            )
            try shop.site.archiveEverything()
            if night == 3 { try shop.backup() }
        }
        try shop.sql("drop table nightly")
        try shop.site.archiveEverything()
        try shop.recover(["-t", "shop.public.nightly", "--before-drop", "--into-table=public.nightly"])
        #expect(try shop.sql("select id from nightly") == "4")
    }
}

extension String {
    /// The last value of a key in JSON.
    func lsn(of key: String) -> LSN? {
        guard let stop = split(separator: "\"stop\"").last else { return nil }
        return stop.firstMatch(of: try! Regex("\"\(key)\" : \"([0-9A-F/]+)\"")).flatMap { $0[1].substring }.flatMap {
            LSN(String($0))
        }
    }
}

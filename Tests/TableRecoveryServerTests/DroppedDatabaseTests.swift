import Platform
import Support
import Testing
import WAL

/// One history of a database that the command line names.
private struct DatabaseHistory: Sendable, CustomTestStringConvertible {
    let name: String
    var before: [String] = []
    /// SQL between two backups.
    var between: [String] = []
    /// SQL after them; "!" marks the drop that is meant; DB is the database's name.
    var after: [String] = []
    /// Whether a younger database of the name may be among the dropped ones.
    var isDoubtful = false
    var testDescription: String { name }
}

private let databaseHistories = [
    DatabaseHistory(name: "known to the backups", before: ["create database DB"], after: ["!drop database DB"]),
    DatabaseHistory(
        name: "known to the first backup", before: ["create database DB"], between: ["!drop database DB"]),
    DatabaseHistory(name: "younger than every backup", after: ["create database DB", "!drop database DB"]),
    DatabaseHistory(name: "never in a backup", between: ["create database DB", "!drop database DB"]),
    DatabaseHistory(
        name: "known, and made anew", before: ["create database DB"],
        after: ["drop database DB", "create database DB", "!drop database DB"]),
    DatabaseHistory(
        name: "an older one renamed to it", before: ["create database old_DB"],
        after: ["alter database old_DB rename to DB", "!drop database DB"]),
    DatabaseHistory(
        name: "renamed to it in vain", before: ["create database DB", "create database old_DB"],
        after: [
            "!drop database DB", "begin; alter database old_DB rename to DB; rollback", "drop database old_DB",
        ]),
    DatabaseHistory(
        name: "a younger one had the name for a while",
        between: ["create database DB", "!drop database DB"],
        after: ["create database DB", "alter database DB rename to new_DB", "drop database new_DB"]),
    DatabaseHistory(
        name: "only others were dropped", before: ["create database old_DB"],
        after: ["create database new_DB", "drop database old_DB", "drop database new_DB"]),
    // Comes last, since its settings apply to every later history.
    DatabaseHistory(
        name: "a younger one whose page can't be unpacked", before: ["create database DB"],
        after: [
            "!drop database DB", "alter database postgres set wal_compression = lz4", "checkpoint",
            "create database DB", "drop database DB",
        ], isDoubtful: true),
]

@Suite(.serialized) struct DroppedDatabaseTests {
    @Test func `the last database of a name is the one that was dropped, wherever its name is found`() throws {
        let site = try TestSite(initdb: ["--wal-segsize=1"])
        var meant: [Int: ClosedRange<LSN>] = [:]
        func position() throws -> LSN { try #require(LSN(site.cluster.psql("select pg_current_wal_insert_lsn()"))) }
        var isDoubtful = false
        func run(_ steps: KeyPath<DatabaseHistory, [String]>) throws {
            for (number, one) in databaseHistories.enumerated() where steps != \.after || one.isDoubtful == isDoubtful {
                for step in one[keyPath: steps] {
                    let begin = try position()
                    let sql = step.filter { $0 != "!" }.replacing("DB", with: "case\(number)")
                    try site.cluster.psql(
                        sql.hasPrefix("create database") ? sql + " strategy file_copy" : sql)
                    let end = try position()
                    if step.hasPrefix("!") { meant[number] = begin...end }
                }
            }
        }
        for steps in [\DatabaseHistory.before, \.between, \.after] {
            try run(steps)
            if steps != \.after { try site.tidemark(["backup"], expectSuccess: true) }
        }
        try look()
        // From here on the name of one of the databases is unknown.
        isDoubtful = true
        try run(\.after)
        try look()
        func look() throws {
            try site.archiveEverything()
            for (number, one) in databaseHistories.enumerated() where isDoubtful || !one.isDoubtful {
                try check(one, number)
            }
        }
        func check(_ one: DatabaseHistory, _ number: Int) throws {
            let database = "case\(number)"
            let planned = try site.tidemark(["plan", "--before-drop-database", database, "--json"])
            if let meant = meant[number] {
                #expect(planned.ending == .exited(0), "\(one): \(planned.errors)")
                let stop = try #require(planned.output.lsn(of: "lsn"), "\(one): \(planned.output)")
                #expect(meant.contains(stop), "\(one): \(stop), not \(meant)")
                let isDoubted = planned.output.contains("A later database of this name may have been dropped")
                #expect(isDoubted == isDoubtful, "\(one): \(planned.output)")
            } else {
                #expect(planned.ending == .exited(4), "\(one): \(planned.output)")
                #expect(planned.errors.contains("no backup has database \"\(database)\""), "\(one): \(planned.errors)")
                let other = isDoubtful ? "whose name is not known" : "dropped database \"new_\(database)\""
                #expect(planned.errors.contains(other), "\(one): \(planned.errors)")
            }
        }
    }

    /// Only a drop that was searched for may be reported as absent.
    @Test func `a drop that cannot be searched for is not reported as absent`() throws {
        let site = try TestSite(initdb: ["--wal-segsize=1"])
        try site.cluster.psql("create database shop strategy file_copy")
        try site.cluster.psql("create table t as select 1 n", database: "shop")
        try site.tidemark(["backup"], expectSuccess: true)
        try site.cluster.psql("drop database shop")
        try site.archiveEverything()
        let command = ["recover-table", "-t", "shop.public.t", "--before-drop", "--dry-run"]
        // What the catalog has recorded isn't read again.
        try site.tidemark(command, expectSuccess: true)
        let traced = try site.tidemark(command, environment: ["TIDEMARK_FAULT": "trace"])
        try #require(traced.ending == .exited(0) && traced.errors.contains("was dropped by transaction"), "\(traced)")
        var failed = 0
        for object in ["manifest", "/wal/"] {
            let opened = traced.errors.split(separator: "\n").count {
                $0.hasPrefix("trace: open ") && $0.contains(site.repository) && $0.contains(object)
            }
            for number in stride(from: 1, through: opened, by: max(1, opened / 8)) {
                let fault = "open:\(site.repository)*\(object)#\(number)=EIO"
                let finished = try site.tidemark(command, environment: ["TIDEMARK_FAULT": fault])
                try #require(finished.errors.contains("fault: "), "\(fault): \(finished)")
                #expect(!finished.errors.contains("no drop of"), "\(fault): \(finished)")
                #expect(!finished.errors.contains("no backup has"), "\(fault): \(finished)")
                if finished.ending != .exited(0) {
                    failed += 1
                    #expect(finished.ending == .exited(1), "\(fault): \(finished)")
                    #expect(finished.errors.contains("Input/output error"), "\(fault): \(finished)")
                }
            }
        }
        #expect(failed > 1)
    }
}

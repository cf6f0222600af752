import Platform
import Support
import Testing

/// Prepared transactions that hold locks on a table where a recovery ends: named before it begins, and after it.
@Suite(.serialized) struct PendingServerTests {
    @Test(arguments: TestServer.allCases)
    func `the plan lists the transactions pending at the target, and no others`(_ server: TestServer) throws {
        let site = try TestSite(server, settings: ["max_prepared_transactions": "20"], initdb: ["--wal-segsize=1"])
        func sql(_ text: String) throws { try site.cluster.psql(text) }
        /// A position, and the transactions pending there.
        func mark() throws -> (lsn: String, pending: [String]) {
            let names = try site.cluster.psql("select quote_literal(gid) from pg_prepared_xacts order by gid")
            let lsn = try site.cluster.psql("select pg_current_wal_insert_lsn()")
            try sql("select pg_logical_emit_message(false, 'test', 'a record to stop at')")
            return (lsn, names.split(separator: "\n").map(String.init))
        }
        for name in ["a", "b", "c", "d", "e", "f"] { try sql("create table \(name) (id int)") }
        try sql("begin; insert into a values (1); prepare transaction 'before the backup'")
        try sql("begin; insert into b values (1); prepare transaction 'before, and decided'")
        try sql("checkpoint")
        try site.tidemark(["backup"], expectSuccess: true)
        var marks = [try mark()]
        try sql("commit prepared 'before, and decided'")
        try sql("begin; drop table c; prepare transaction 'it''s \\ \"mine\"'")
        marks.append(try mark())
        for number in 1...20 {
            try sql("begin; insert into d values (\(number)); prepare transaction 'short \(number)'")
            try sql("\(number % 2 == 0 ? "commit" : "rollback") prepared 'short \(number)'")
            if number % 5 == 0 { try sql("select pg_switch_wal()") }
        }
        // Its record is longer than the context kept around a segment boundary.
        let locks = (1...200).map { "create table many_\($0) ();" }.joined()
        try sql("begin; \(locks) drop table e; prepare transaction 'large'")
        marks.append(try mark())
        try sql("commit prepared 'it''s \\ \"mine\"'")
        try sql("rollback prepared 'before the backup'")
        marks.append(try mark())
        try sql("commit prepared 'large'")
        marks.append(try mark())
        try site.archiveEverything()
        for (lsn, pending) in marks {
            // With the catalog, and without.
            for options in [[], ["--state-directory", "/proc/nothing"]] {
                let planned = try site.tidemark(["plan", "--target-lsn", lsn] + options)
                #expect(planned.ending == .exited(0), "\(planned.errors)")
                let told = planned.output.split(separator: "\n").filter { $0.contains("hold its locks") }
                #expect(told.count == pending.count, "\(lsn): \(pending), not \(told)")
                for name in pending {
                    let sentence =
                        "Prepared transaction \(name) in database \"postgres\" will be pending there and hold its locks, until "
                        + "COMMIT PREPARED \(name) or ROLLBACK PREPARED \(name)."
                    #expect(told.contains { $0.contains(sentence) }, "\(sentence): \(planned.output)")
                }
            }
        }
        #expect(marks.map(\.pending.count) == [2, 2, 3, 1, 0])
        // The offered command works unchanged.
        let copy = try RecoveredDirectory(site)
        let finished = try site.tidemark(
            ["recover", "--target-lsn", marks[2].lsn, "--data-directory", copy.path, "--start", "--yes"])
        #expect(finished.ending == .exited(0), "\(finished.errors)")
        for name in marks[2].pending {
            let command = try #require(
                finished.output.ranges(of: "ROLLBACK PREPARED \(name)").first.map { finished.output[$0] },
                "\(finished.output)")
            try copy.psql(String(command))
        }
        #expect(try copy.psql("select count(*) from c") == "0")
    }

    @Test func `a plan that cannot tell what is pending says so`() throws {
        let site = try TestSite(initdb: ["--wal-segsize=1"])
        let file = site.cluster.data + "/pg_twophase/0000FFFF"
        try runAsServerUser("/bin/sh", ["-c", "echo no state of a transaction >\"$1\"", "sh", file])
        try site.tidemark(["backup"], expectSuccess: true)
        try site.archiveEverything()
        for options in [[], ["--state-directory", "/proc/nothing"]] {
            let plan = try site.tidemark(["plan", "--target", "latest"] + options)
            #expect(plan.ending == .exited(0), "\(plan)")
            #expect(
                plan.output.contains("It is not known whether prepared transactions will be pending there"), "\(plan)"
            )
            #expect(plan.output.contains("pg_twophase/0000FFFF"), "\(plan)")
        }
    }
}

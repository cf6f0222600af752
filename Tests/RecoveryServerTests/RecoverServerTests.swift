import Platform
import Support
import Testing
import WAL

/// The main job through the command line, on a real server.
@Suite(.serialized) struct RecoverServerTests {
    @Test func `ten random moments among ten thousand transactions come back as the clients remember them`() throws {
        let site = try TestSite(settings: ["track_commit_timestamp": "on"])
        let journal = try Journal(site)
        var entries = try journal.work(transactions: 400)
        try site.tidemark(["backup"], expectSuccess: true)
        let from = Clock.now
        entries += try journal.work(transactions: 900)
        try site.tidemark(["backup"], expectSuccess: true)
        entries += try journal.work(transactions: 1200)
        let until = Clock.now
        #expect(entries.count == 10_000)
        Clock.sleep(milliseconds: 20)
        try site.cluster.psql("create table after_it_all ()")
        try site.archiveEverything()
        var random = SeededGenerator(seed: UInt64(from))
        for _ in 0..<10 {
            let moment = Moment(microseconds: Int64.random(in: from...until, using: &random))
            let directory = try RecoveredDirectory(site)
            let finished = try directory.recover(["--target-time", moment.description])
            try #require(finished.ending == .exited(0), "\(moment): \(finished.errors)")
            let answer = try RecoverAnswer(finished.output)
            #expect(answer.state == "promoted")
            #expect(answer.asPredicted == true)
            let complaints = Journal.complaints(
                try directory.psql("select client, n from journal"), entries: entries, at: moment)
            #expect(complaints == [], "\(moment), seed \(from), warnings \(answer.plan.warnings)")
            // The living server knows when each transaction committed; a plan without warnings is exact.
            if answer.plan.warnings.isEmpty {
                let list = "select string_agg(client || ':' || n, ' ' order by client, n) from journal"
                let committed = "where pg_xact_commit_timestamp(xmin) <= '\(moment)'"
                #expect(try directory.psql(list) == site.cluster.psql("\(list) \(committed)"), "\(moment)")
            }
            if let last = answer.plan.lastIncluded {
                #expect(try directory.psql("select count(*) from journal where xid::text = '\(last.xid)'") == "1")
            }
            if let first = answer.plan.firstExcluded {
                #expect(try directory.psql("select count(*) from journal where xid::text = '\(first.xid)'") == "0")
            }
            #expect(try directory.psql("show archive_mode") == "off")
        }
    }

    /// With lower settings than the WAL records, a server waits from 14 on and stops before
    /// (`CheckRequiredParameterValues`).
    @Test func `settings that were raised after the backup hold up no replay`() throws {
        let site = try TestSite(
            settings: ["max_connections": "20", "max_worker_processes": "8"], initdb: ["--wal-segsize=1"])
        try site.tidemark(["backup"], expectSuccess: true)
        try site.cluster.append(to: "postgresql.conf", ["max_connections = 150", "max_prepared_transactions = 7"])
        try site.cluster.restart()
        try site.cluster.psql("create table t as select 1")
        try site.archiveEverything()
        let drill = try site.tidemark(["drill"])
        #expect(drill.ending == .exited(0), "\(drill.errors)\(drill.output)")
        for options in [[], ["--standby"]] {
            let copy = try RecoveredDirectory(site)
            let finished = try copy.recover(["--target", "latest"] + options)
            try #require(finished.ending == .exited(0), "\(finished.errors)\(copy.log)")
            #expect(try copy.psql("show max_connections") == "150")
            #expect(try copy.psql("show max_prepared_transactions") == "7")
            try wait(for: "the copy to have replayed it") { try copy.psql("select to_regclass('t')") == "t" }
            // A promoted server doesn't need them; a standby still does.
            let settings = try Files.readText(copy.path + "/postgresql.auto.conf")
            #expect(settings.contains("max_connections") == !options.isEmpty)
        }
        let copy = try RecoveredDirectory(site)
        let low = try copy.recover(["--target", "latest", "--set", "max_connections=30"])
        #expect(
            low.ending == .exited(1) && low.errors.contains("cannot recover with max_connections = 30"), "\(low.errors)"
        )
        #expect(low.errors.contains("150"), "\(low.errors)")
    }
}

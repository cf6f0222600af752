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
        var random = Seeded(seed: UInt64(from))
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
}

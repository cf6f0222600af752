import Glibc
import Platform
import Support
import Testing

/// `recover-table --replace`, killed or out of space on its way: the live table is unchanged, or replaced and kept.
@Suite struct ReplaceFaultTests {
    @Test func `whatever fails, a replaced table is there under its old name or under the new one`() throws {
        let site = try TestSite(initdb: ["--wal-segsize=1"])
        try site.cluster.psql("create table t as select generate_series(1, 1000) n")
        try site.tidemark(["backup"], expectSuccess: true)
        try site.cluster.psql("select pg_create_restore_point('good')")
        try site.cluster.psql("delete from t where n > 5")
        try site.archiveEverything()
        let command = [
            "recover-table", "-t", "postgres.public.t", "--target-name", "good", "--replace", "--yes",
        ]
        func rows(_ table: String) throws -> String {
            try site.cluster.psql("select to_regclass('\(table)')") == ""
                ? "none" : site.cluster.psql("select count(*) from \(table)")
        }
        func judge(_ isDone: Bool?, _ said: String) throws {
            let found = [try rows("t"), try rows("t_before_restore")]
            #expect([["5", "none"], ["1000", "5"]].contains(found), "\(said): \(found)")
            if let isDone { #expect((found[0] == "1000") == isDone, "\(said): \(found)") }
            if found[1] != "none" {
                try site.cluster.psql("drop table t; alter table t_before_restore rename to t")
            }
            try site.tidemark(["clean"], expectSuccess: true)
            let scratch = try Files.listIfPresent(site.scratch.file("state/scratch"))
            #expect(scratch.allSatisfy { !$0.hasPrefix("tidemark-") }, "\(said): \(scratch)")
        }
        let traced = try site.tidemark(command, environment: ["TIDEMARK_FAULT": "trace"])
        let calls = traced.errors.split(separator: "\n").count { $0.hasPrefix("trace: ") }
        try #require(traced.ending == .exited(0) && calls > 50, "\(calls): \(traced.errors)")
        try judge(true, "without a fault")
        let places = Array(stride(from: 1, through: calls, by: getenv("TIDEMARK_SOAK") == nil ? calls / 8 : 1))
        var struck = 0
        for (number, call) in places.enumerated() {
            let effect = ["kill", "ENOSPC"][number % 2]
            let finished = try site.tidemark(command, environment: ["TIDEMARK_FAULT": "any:\(call)=\(effect)"])
            if finished.errors.contains("fault: ") { struck += 1 }
            let said = "any:\(call)=\(effect): \(finished.ending) \(finished.errors)"
            try judge(finished.ending == .exited(0) ? true : nil, said)
        }
        #expect(struck > places.count / 2, "only \(struck) of \(places.count) struck")
    }
}

import Platform
import Support
import Testing

/// What led to a timeline may have expired while it was aside.
@Suite struct PutBackExpiredServerTests {
    @Test(arguments: [true, false])
    func `put-back says that no backup leads to the timeline any more`(isExpired: Bool) throws {
        let group = try ServerGroup(.v15)
        try group.accounted {
            let a = try group.addPrimary()
            try a.psql("create table t (i int)")
            try a.tidemark(["backup", "--no-expire"], expectSuccess: true)
            let b = try group.addStandby("b", of: a)
            try a.psql("insert into t values (1)", "select pg_switch_wal()")
            try group.catchUp(b, with: a)
            try b.promote()
            try b.psql("insert into t values (100)", "select pg_switch_wal()")
            try group.drain(b)
            group.step("2 is put aside, and nothing is kept for it")
            try a.tidemark(["segments", "put-aside", "2", "--yes"], expectSuccess: true)
            try a.psql("insert into t values (2)", "select pg_switch_wal()")
            try group.drain(a)
            try a.tidemark(["backup", "--no-expire"], expectSuccess: true)
            if isExpired { try a.tidemark(["expire", "--keep-full", "1"], expectSuccess: true) }
            group.step("it is brought back")
            let back = try b.tidemark(["segments", "put-back", "2", "--yes"], expectSuccess: true)
            let warning = "no recovery reaches the end of timeline 2"
            #expect(back.errors.contains(warning) == isExpired, "\(back)")
            let plan = try b.tidemark(["plan", "--target", "latest", "--target-timeline", "2"])
            #expect(plan.ending == .exited(isExpired ? 4 : 0), "\(plan)")
            guard isExpired else { return }
            try b.tidemark(["backup", "--no-expire"], expectSuccess: true)
            try b.tidemark(["plan", "--target", "latest", "--target-timeline", "2"], expectSuccess: true)
        }
    }
}

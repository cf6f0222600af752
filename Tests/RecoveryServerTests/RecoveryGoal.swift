import Platform
import Support
import WAL

/// A kind of recovery target.
enum RecoveryGoal: Sendable, CaseIterable { case time, lsn, xid, name, immediate, latest }

extension TestSite {
    /// A backup and, after it, a target of every kind, archived. Returns the options for each.
    func makePast() throws -> [RecoveryGoal: [String]] {
        try cluster.psql("create table t as select 1 n")
        try tidemark(["backup"], expectSuccess: true)
        let xid = try cluster.psql("with i as (insert into t values (2)) select pg_current_xact_id()")
        try cluster.psql("select pg_create_restore_point('here')")
        let lsn = try cluster.psql("select pg_current_wal_insert_lsn()")
        try cluster.psql("insert into t values (3)")
        Clock.sleep(milliseconds: 5)
        let time = Moment(microseconds: Clock.now).description
        Clock.sleep(milliseconds: 5)
        try cluster.psql("insert into t values (4)")
        try archiveEverything()
        return [
            .time: ["--target-time", time], .lsn: ["--target-lsn", lsn], .xid: ["--target-xid", xid],
            .name: ["--target-name", "here"], .immediate: ["--target", "immediate"], .latest: ["--target", "latest"],
        ]
    }
}

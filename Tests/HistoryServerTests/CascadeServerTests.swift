import Platform
import Support
import Testing
import WAL

/// A cascading WAL sender takes the end of a segment with a switch for the end of what its server has, and sends what
/// the recycled file held before; no zeros follow.
@Suite struct CascadeServerTests {
    @Test(arguments: TestServer.ends)
    func `a cascading standby archives segments of which it received the beginning only`(_ version: TestServer) throws {
        let group = try ServerGroup(version, settings: ["wal_keep_size": "400MB", "max_wal_size": "64MB"])
        try group.accounted {
            let a = try group.addPrimary()
            try a.psql("create table t (i int)", "create table f (x text)")
            let b = try group.addStandby("b", of: a, settings: ["wal_keep_size": "0", "min_wal_size": "20MB"])
            let c = try group.addStandby(
                "c", of: b, settings: ["wal_keep_size": "0", "min_wal_size": "20MB", "archive_mode": "always"])
            group.step("fill segments, which the standbys recycle")
            let before = try a.psql("select pg_walfile_name(pg_current_wal_lsn())")
            for _ in 0..<3 {
                try a.psql("insert into f select repeat(md5(g::text), 20) from generate_series(1, 9000) g")
                try a.psql("truncate f", "checkpoint")
                for standby in [b, c] {
                    try group.catchUp(standby, with: a)
                    try standby.psql("checkpoint")
                }
            }
            group.step("switch until c has a file with older pages behind the switch")
            var (stale, switches): (String?, Int) = (nil, 0)
            while stale == nil, switches < 200 {
                switches += 1
                let name = try a.psql("insert into t values (\(switches))", "select pg_walfile_name(pg_switch_wal())")
                try group.catchUp(c, with: a)
                let bytes = try Files.read("\(c.data)/pg_wal/\(name)")
                if bytes[131_072...].contains(where: { $0 != 0 }) { stale = name }
            }
            let found = try #require(stale, "none of \(switches) segments, after \(before)")
            try a.psql("insert into t values (0)", "select pg_switch_wal()")
            try group.catchUp(c, with: a)
            try group.drain(a)
            try group.wait(for: "\(found) to be handed over by c") {
                try Files.exists("\(c.data)/pg_wal/archive_status/\(found).done")
            }
            try group.drain(c)
            #expect(!c.logTail(400).contains("is damaged"), "\(c.logTail(20))")
            try a.tidemark(["verify", "--wal"], expectSuccess: true)
        }
    }
}

import Platform
import Support
import Testing
import WAL

/// One server after the other dies, and the next one is promoted before the segment is full.
@Suite struct PromotionsInOneSegmentServerTests {
    @Test(arguments: [(TestServer.v15, "on"), (.v16, "always"), (.v18, "always")])
    private func `after three promotions within one segment every server can archive what it has`(
        _ version: TestServer, _ mode: String
    ) throws {
        let group = try ServerGroup(version, settings: ["archive_mode": mode])
        try group.accounted {
            let a = try group.addBackedUpPrimary()
            let others = try ["b", "c", "d"].map { try group.addStandby($0, of: a) }
            try group.drain(a)
            var living = a
            for (index, next) in others.enumerated() {
                group.step("\(living.name) dies, \(next.name) is promoted")
                try living.psql("insert into t values (\(index))")
                for standby in others[index...] { try group.catchUp(standby, with: living) }
                try living.kill()
                try next.promote()
                living = next
                for standby in others[(index + 1)...] {
                    try standby.follow(next)
                    try standby.reload()
                }
            }
            let points = try living.history().ancestors.map(\.switchPoint)
            let segments = Set(points.map { $0.rawValue / UInt64(ServerGroup.segmentSize) })
            #expect(points.count == 3 && segments.count == 1, "\(points)")
            for _ in 0..<2 { try living.psql("insert into t values (9)", "select pg_switch_wal()") }
            try group.drain(living)

            group.step("everybody hands over what they have of the timelines that were left")
            var handed = 0
            for (server, own) in zip(others, TimelineID(2).rawValue...) {
                for file in try Files.list(server.data + "/pg_wal").sorted() {
                    guard let segment = SegmentName(file), segment.timeline.rawValue < own else { continue }
                    let pushed = try server.tidemark(["archive-push", "\(server.data)/pg_wal/\(file)"])
                    #expect(pushed.ending == .exited(0), "\(server.name): \(pushed)")
                    handed += 1
                }
            }
            #expect(handed >= 3)
            for arguments in [["verify", "--wal"], ["segments"], ["check", "--only", "archiving"]] {
                try living.tidemark(arguments, expectSuccess: true)
            }
            let copy = RecoveredCopy(group)
            let outcome = try copy.recover(living, ["--target", "latest"])
            #expect(outcome.asPredicted == true)
            #expect(try copy.psql("select string_agg(i::text, ',' order by i) from t") == "0,1,2,9,9")
        }
    }
}

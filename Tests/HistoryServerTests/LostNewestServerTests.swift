import Platform
import Support
import Testing

/// The archive lost its newest segments. That they were there only a backup tells, which isn't consistent without them.
@Suite struct LostNewestServerTests {
    struct Row: Sendable, CustomTestStringConvertible {
        let version: TestServer
        /// All of a timeline is lost that a recovery in place began; else one segment.
        let isTimeline: Bool
        var testDescription: String { "\(version), \(isTimeline ? "a timeline" : "a segment")" }
    }
    static let rows = [
        Row(version: .v15, isTimeline: false), Row(version: .v15, isTimeline: true),
        Row(version: .v18, isTimeline: true),
    ]

    /// - Returns: the names of what is missing.
    private func lose(_ row: Row, _ group: ServerGroup, _ a: Server) throws -> [String] {
        try a.psql("create table t (i int)")
        try a.tidemark(["backup"], expectSuccess: true)
        for i in 1...2 { try a.psql("insert into t values (\(i))", "select pg_switch_wal()") }
        try group.drain(a)
        if row.isTimeline {
            try a.stop()
            try a.tidemark(
                ["recover", "--target", "latest", "--start", "--yes", "--set", "config_file=\(a.serverConfiguration)"],
                expectSuccess: true)
            try a.psql("insert into t values (3)", "select pg_switch_wal()")
        }
        try a.tidemark(["backup"], expectSuccess: true)
        try group.drain(a)
        let segments = try group.archived().filter { $0.count == 24 }
        let lost = row.isTimeline ? segments.filter { $0.hasPrefix("00000002") } : [try #require(segments.last)]
        for name in lost { try runAsServerUser("/usr/bin/find", [group.wal, "-name", "\(name).zst", "-delete"]) }
        return lost
    }

    @Test(arguments: rows)
    func `a plan names all of it, and offers all that the older backup reaches`(_ row: Row) throws {
        let group = try ServerGroup(row.version)
        try group.accounted {
            let a = try group.addPrimary()
            let lost = try lose(row, group, a)
            let refused = try a.tidemark(["plan", "--target", "latest"])
            #expect(refused.ending == .exited(4), "\(refused)")
            for name in [lost[0], lost[lost.count - 1]] { #expect(refused.errors.contains(name), "\(refused)") }
            let offers = refused.errors.matches(of: /(--target[^(;]*) \(/).map {
                $0.output.1.split(separator: " ").map(String.init)
            }
            try #require(!offers.isEmpty && !offers.contains { $0.contains("immediate") }, "\(refused)")
            for offer in offers {
                let planned = try a.tidemark(["plan"] + offer)
                #expect(planned.ending == .exited(0), "\(offer): \(planned)")
                let copy = RecoveredCopy(group)
                try copy.recover(a, offer)
                #expect(try copy.psql("select string_agg(i::text, ' ' order by i) from t") == "1 2")
            }
        }
    }

    @Test(arguments: rows)
    func `every command tells the gap`(_ row: Row) throws {
        let group = try ServerGroup(row.version)
        try group.accounted {
            let a = try group.addPrimary()
            let lost = try lose(row, group, a)
            for arguments in [
                ["segments"], ["window"], ["list"], ["verify", "--wal"], ["events"],
                ["check", "--only", "wal_continuity"], ["check", "--only", "recovery_window"],
            ] {
                let said = try a.tidemark(arguments)
                #expect(said.ending == .exited(3), "\(arguments): \(said)")
                let text = said.output + said.errors
                for name in [lost[0], lost[lost.count - 1]] {
                    #expect(text.contains(name), "\(arguments) doesn't name \(name): \(said)")
                }
            }
            let status = try a.tidemark(["status"])
            #expect(!status.output.contains("every commit is in the repository"), "\(status)")
        }
    }
}

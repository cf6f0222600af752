import Platform
import Support
import Testing

/// What `expire` keeps for a server of which a copy archives as well.
@Suite struct BranchExpiryServerTests {
    private func fill(_ server: Server, segments: Int) throws {
        for _ in 0..<segments { try server.psql("insert into t values (2)", "select pg_switch_wal()") }
    }

    private func labels(_ server: Server) throws -> [String] {
        let text = try server.tidemark(["list", "--json"]).output
        return text.split(separator: "\"label\"").dropFirst().map { String($0.split(separator: "\"")[1]) }
    }

    /// The first segment that a backup needs.
    private func first(_ label: String, _ server: Server) throws -> String {
        let shown = try server.tidemark(["show", label, "--json"], expectSuccess: true).output
        return String(try #require(shown.firstMatch(of: /"first_wal" : "([0-9A-F]{24})"/)).1)
    }

    @Test(arguments: TestServer.ends)
    func `a copy that was promoted costs the original no backup, and holds no WAL when it is put aside`(
        _ version: TestServer
    ) throws {
        let group = try ServerGroup(version)
        try group.accounted {
            let a = try group.addPrimary()
            try a.psql("create table t (i int)")
            try a.tidemark(["backup"], expectSuccess: true)
            let own = try #require(labels(a).first)
            group.step("a copy is promoted and takes a backup; a goes on")
            let b = try group.addStandby("b", of: a)
            try group.catchUp(b, with: a)
            try b.promote()
            try fill(b, segments: 2)
            try group.drain(b)
            try fill(a, segments: 4)
            try group.drain(a)
            try b.tidemark(["backup", "--no-expire"], expectSuccess: true)
            let stray = try #require(labels(b).first { $0 != own })
            let before = try group.archived()
            let expired = try b.tidemark(["expire", "--keep-full", "1"], expectSuccess: true)
            #expect(expired.output.contains("backup \(own) kept: newest good backup of timeline 1"), "\(expired)")
            #expect(try Set(labels(a)) == [own, stray])
            let needed = try first(own, a)
            #expect(try group.archived().filter { $0.count == 24 } == before.filter { $0.count == 24 && $0 >= needed })
            for timeline in ["1", "2"] {
                try a.tidemark(["plan", "--target", "latest", "--target-timeline", timeline], expectSuccess: true)
            }
            group.step("the copy's backup is no substitute")
            let removed = try a.tidemark(["remove", own, "--yes"])
            #expect(
                removed.ending == .exited(1)
                    && removed.errors.contains("No other good backup is on the history of timeline 1."), "\(removed)")
            group.step("the copy is put aside, as check says; a goes on")
            try b.stop()
            let command = "tidemark segments put-aside 00000002.history"
            let said = try a.tidemark(["check", "--only", "timelines"])
            #expect(said.output.contains(command), "\(said)")
            try a.tidemark(["segments", "put-aside", "00000002.history", "--yes"], expectSuccess: true)
            try fill(a, segments: 2)
            try a.tidemark(["backup", "--no-expire"], expectSuccess: true)
            let newest = try #require(Set(labels(a)).subtracting([own, stray]).first)
            try fill(a, segments: 2)
            try group.drain(a)
            let after = try a.tidemark(["expire", "--keep-full", "1"], expectSuccess: true)
            #expect(after.output.contains("backup \(own) removed"), "\(after)")
            #expect(after.output.contains("backup \(stray) kept: "), "\(after)")
            let segments = try group.archived().filter { $0.count == 24 }
            #expect(try segments.first == first(newest, a), "\(segments), \(after)")
            for arguments in [["verify", "--wal"], ["plan", "--target", "latest"], ["segments"]] {
                try a.tidemark(arguments, expectSuccess: true)
            }
        }
    }
}

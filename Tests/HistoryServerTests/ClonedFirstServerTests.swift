import Platform
import Support
import Testing

/// A copy of the cluster archived before the cluster's own server did, and took a backup. What the messages offer takes
/// its WAL out of the way; after that every command says that all is well.
@Suite struct ClonedFirstServerTests {
    private func offered(_ text: String, _ command: String) throws -> [String] {
        let found = try #require(
            text.firstMatch(of: try Regex("tidemark (\(command)[^\":]*[^\":.])")), "\(command) isn't offered: \(text)")
        return try #require(found[1].substring).split(separator: " ").map(String.init)
    }

    @Test(arguments: TestServer.ends)
    func `the backup of a copy is left out by every command, and can be removed`(_ version: TestServer) throws {
        let group = try ServerGroup(version)
        try group.accounted {
            let a = try group.addBackedUpPrimary()
            try a.psql("insert into t values (1)", "select pg_switch_wal()")
            try group.drain(a)
            group.step("a copy archives, and takes a backup")
            let copy = try group.addCopy("copy", of: a)
            for _ in 0..<3 { try copy.psql("insert into t values (99)", "select pg_switch_wal()") }
            let before = try copy.tidemark(["list", "--json"], expectSuccess: true).output
            try copy.tidemark(["backup"], expectSuccess: true)
            try group.drain(copy)
            let labels = try copy.tidemark(["list", "--json"], expectSuccess: true).output
                .matches(of: /"label" *: *"([^"]+)"/).map { String($0.output.1) }.filter { !before.contains($0) }
            let label = try #require(labels.first)
            try copy.stop()
            group.step("the server's own archiver is stuck")
            for _ in 0..<2 { try a.psql("insert into t values (2)", "select pg_switch_wal()") }
            try group.wait(for: "the archiver to be refused") {
                try a.psql("select last_failed_wal is not null from pg_stat_archiver") == "t"
            }
            #expect(try a.tidemark(["check", "--only", "archiving"]).output.contains("segments put-aside"))
            let stuck = try a.psql("select last_failed_wal from pg_stat_archiver")
            let refused = try a.tidemark(["archive-push", "\(a.data)/pg_wal/\(stuck)"])
            try a.tidemark(try offered(refused.errors, "segments put-aside") + ["--yes"], expectSuccess: true)
            try group.drain(a)
            for line in [["verify"], ["list"], ["window"], ["segments"], ["check", "--only", "verify"], ["verify"]] {
                let told = try a.tidemark(line)
                #expect(told.ending == .exited(0), "\(line): \(told)")
                #expect(!(told.output + told.errors).contains("is damaged"), "\(line): \(told)")
            }
            let verified = try a.tidemark(["verify"])
            #expect(verified.errors.contains("WARNING") && verified.errors.contains(label), "\(verified)")
            let named = try a.tidemark(["verify", label])
            #expect(named.ending == .exited(3), "\(named)")
            let status = try a.tidemark(["status"])
            #expect(!status.output.contains("put-back"), "\(status)")

            group.step("the copy's WAL is imported")
            let pgWAL = "\(copy.data)/pg_wal"
            let imported = try a.tidemark(["import", pgWAL])
            #expect(imported.ending == .exited(3), "\(imported)")
            #expect(imported.errors.contains("another server's. Leave it out."), "\(imported)")
            #expect(!imported.errors.contains("put-aside") && !imported.errors.contains("This server's"), "\(imported)")

            try a.tidemark(try offered(status.output, "remove") + ["--yes"], expectSuccess: true)
            #expect(try !a.tidemark(["list"], expectSuccess: true).output.contains(label))
        }
    }
}

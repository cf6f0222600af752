import Platform
import Support
import Testing

/// A repository has backups and none of their WAL: its file system isn't mounted, or it is lost. Every command names
/// the same first segment, and none offers a command that would be refused.
@Suite struct AllWALLostServerTests {
    private static let samples: [(TestServer, size: String)] = [(.v15, "1"), (.v15, "16"), (.v18, "64")]

    private func words(_ command: String) -> [String] { command.split(separator: " ").map(String.init) }

    @Test(arguments: samples)
    private func `every command names what is missing, and what is offered works`(
        _ server: TestServer, _ size: String
    ) throws {
        let site = try TestSite(
            server, settings: ["max_wal_size": "1GB", "min_wal_size": "128MB"], initdb: ["--wal-segsize=\(size)"])
        let cluster = site.cluster
        try cluster.psql("create table t (i int)")
        for _ in 0..<4 {
            try cluster.psql("insert into t values (1)")
            try cluster.psql("select pg_switch_wal()")
        }
        try site.tidemark(["backup"], expectSuccess: true)
        try site.archiveEverything()
        let listed = try site.tidemark(["list"], expectSuccess: true)
        let first = try #require(listed.output.firstMatch(of: /[0-9A-F]{24}/)).output
        let emptied = try runAsServerUser(
            "/bin/sh", ["-c", "rm -r \(shellQuoted(site.repository))/*/*/wal/*"])
        try #require(emptied.ending == .exited(0), "\(emptied)")

        let cannotBeFound = "he WAL of repository \"\(site.repository)\" cannot be found. Is the file system"
        let plan = words("plan --target latest")
        for command in [
            "verify --wal", "segments", "window", "list", "events", "status", "check --only wal_continuity",
            "check --only rpo", "check --only recovery_window", "plan --target latest", "drill",
        ] {
            let said = try site.tidemark(words(command))
            let text = said.output + said.errors
            #expect(said.ending == .exited(["plan", "drill"].contains(words(command)[0]) ? 4 : 3), "\(said)")
            #expect(text.contains("\"\(first)\""), "\(command) doesn't name \(first): \(said)")
            #expect(!text.contains("been archived yet"), "\(command): \(said)")
            guard !["verify", "window", "list", "events"].contains(words(command)[0]) else { continue }
            #expect(text.contains(cannotBeFound), "\(command): \(said)")
            #expect(text.contains("--accept-discontinuity"), "\(command): \(said)")
        }

        let refused = try site.tidemark(plan)
        let offers = refused.errors.matches(of: /"tidemark (archive-push [^"]*)"/).map { words(String($0.output.1)) }
        try #require(!offers.isEmpty, "\(refused)")
        for offer in offers {
            let pushed = try site.tidemark(offer)
            try #require(pushed.ending == .exited(0), "\(offer): \(pushed)")
        }
        try cluster.psql("insert into t values (2)")
        try cluster.psql("select pg_switch_wal()")
        try site.archiveEverything()
        for _ in 0..<8 {
            let said = try site.tidemark(plan)
            guard said.ending != .exited(0) else { break }
            let push = try #require(said.errors.firstMatch(of: /"tidemark (archive-push [^"]*)"/), "\(said)")
            let offer = words(String(push.output.1))
            #expect(!offer.contains("--accept-discontinuity"), "\(said)")
            try site.tidemark(offer, expectSuccess: true)
        }
        try site.tidemark(plan, expectSuccess: true)
        for command in ["segments", "verify --wal", "window", "list"] {
            try site.tidemark(words(command), expectSuccess: true)
        }
    }
}

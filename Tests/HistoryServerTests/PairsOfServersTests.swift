import Platform
import Support
import Testing

/// The commands of docs/archiving.md, "Pairs of servers", are run literally.
@Suite(.serialized) struct PairsOfServersTests {
    /// The page's `sh` blocks: over to b, back to a, and a brought back after a failover.
    private static func blocks() throws -> [String] {
        let root = Files.parent(Files.parent(Files.parent(#filePath)))
        return try Files.readText(root + "/docs/archiving.md").split(separator: "```sh\n").dropFirst()
            .compactMap { $0.split(separator: "```").first.map(String.init) }
    }

    @Test(arguments: TestServer.allCases)
    func `the page's switchover and back, and its way back after a failover, work and lose nothing`(
        _ version: TestServer
    ) throws {
        let blocks = try Self.blocks()
        try #require(blocks.count == 3)
        let group = try ServerGroup(version)
        try group.accounted {
            let a = try group.addBackedUpPrimary()
            let b = try group.addStandby("b", of: a)
            // The page's servers have their settings in the data directory, and each one's settings name the other.
            for (server, other) in [(a, b), (b, a)] {
                try server.follow(other)
                try server.shell("echo \"include '\(server.serverConfiguration)'\" >> \(server.data)/postgresql.conf")
            }
            try a.shell("rm \(a.data)/standby.signal")
            func execute(_ block: Int, asking server: Server) throws {
                group.step(blocks[block])
                let environment = """
                    set -e; cd '\(group.directory)'; PATH=\(version.bin):\(try Executables.directory.get()):$PATH
                    export PGCTLTIMEOUT=600 PGHOST='\(group.directory)' PGPORT=\(server.port) PGUSER=postgres PGDATABASE=postgres
                    export TIDEMARK_CONFIG='\(a.configuration)'; B='\(b.conninfo)'

                    """
                try a.shell(environment + blocks[block])
            }
            var row = 0
            func write(on primary: Server, seenBy standby: Server) throws {
                row += 1
                try primary.psql("insert into t values (\(row))")
                try group.catchUp(standby, with: primary)
                try group.drain(primary)
                #expect(try standby.psql("select count(*) from t") == "\(row)")
            }
            try write(on: a, seenBy: b)
            try execute(0, asking: b)
            try write(on: b, seenBy: a)
            try execute(1, asking: a)
            try write(on: a, seenBy: b)

            group.step("a can't archive any more, and dies")
            try a.shell("echo \"archive_command = 'false'\" >> \(a.data)/postgresql.conf")
            try a.reload()
            for _ in 0..<3 {
                row += 1
                try a.psql("select pg_switch_wal()", "insert into t values (\(row))")
            }
            try group.catchUp(b, with: a)
            try a.stop("immediate")
            try b.promote()
            try b.follow(a)
            try b.shell("rm -f \(b.data)/standby.signal")
            // A directory from an earlier failover: nothing of it may come back.
            try a.shell(
                "cd '\(group.directory)'; mkdir kept; echo work_mem=1 >kept/postgresql.conf; touch kept/old.conf")
            try execute(2, asking: b)
            #expect(try !Files.exists(a.data + "/old.conf"))
            try write(on: b, seenBy: a)
            try b.psql("select pg_switch_wal()")
            try group.drain(b)
            for command in [["segments"], ["verify", "--wal"], ["plan", "--target", "latest"]] {
                try b.tidemark(command, expectSuccess: true)
            }
            let copy = RecoveredCopy(group)
            try copy.recover(b, ["--target", "latest"])
            #expect(try copy.psql("select count(*) from t") == "\(row)")
        }
    }

    @Test func `the page's settings for Patroni are those that the test of Patroni takes`() throws {
        let settings = try PatroniTrio.documentedSettings()
        for line in ["use_pg_rewind: true", "archive_command: tidemark archive-push %p"] {
            #expect(settings.contains { $0.hasSuffix(line) })
        }
    }
}

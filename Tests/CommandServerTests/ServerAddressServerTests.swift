import Platform
import Support
import Testing

/// Which server is asked where `conninfo` doesn't say where it is: the one on the data directory, although the
/// environment leads to another one.
@Suite(.serialized) struct ServerAddressServerTests {
    /// A site, and the server of another cluster, which has a table of the same name.
    private final class Neighbours: Sendable {
        let site: TestSite
        let other: TestCluster
        /// Leads to the other server.
        var environment: [String: String] {
            ["PGHOST": other.directory, "PGPORT": "5499", "PGUSER": "postgres", "PGDATABASE": "postgres"]
        }

        init(settings: [String: String] = [:]) throws {
            site = try TestSite(settings: settings, initdb: ["--wal-segsize=1"], initialize: false)
            try site.cluster.psql("create table t as select generate_series(1, 10) n")
            other = try TestCluster(settings: ["port": "5499"], initdb: ["--wal-segsize=1"])
        }

        func tidemark(
            _ arguments: [String], conninfo: String?, environment: [String: String]? = nil
        ) throws -> Finished {
            let lines = try Files.readText(site.configuration).split(separator: "\n").map(String.init).filter {
                !$0.hasPrefix("conninfo")
            }
            let text = (lines + (conninfo.map { ["conninfo = '\($0)'"] } ?? [])).joined(separator: "\n") + "\n"
            try replaceDurably(site.configuration, bytes: Array(text.utf8), mode: 0o644)
            return try site.tidemark(arguments, environment: environment ?? self.environment)
        }
    }

    struct Address: Sendable, CustomTestStringConvertible {
        let testDescription: String
        /// `%s` stands for the socket directory.
        let conninfo: String?
    }

    static let addresses = [
        Address(testDescription: "no connection string", conninfo: nil),
        Address(testDescription: "role and database", conninfo: "user=postgres dbname=postgres"),
        Address(testDescription: "a URI without a host", conninfo: "postgresql://postgres@/postgres"),
        Address(testDescription: "the socket directory", conninfo: "host=%s user=postgres"),
        Address(testDescription: "the socket directory by another path", conninfo: "host=%s/data/.. user=postgres"),
        Address(testDescription: "the port", conninfo: "port=5432 user=postgres"),
        Address(testDescription: "both", conninfo: "host=%s port=5432"),
    ]

    @Test func `the server on the data directory is found without its address`() throws {
        let neighbours = try Neighbours()
        for address in Self.addresses {
            let conninfo = address.conninfo?.split(separator: "%s", omittingEmptySubsequences: false)
                .joined(separator: neighbours.site.cluster.directory)
            for command in [["init"], ["backup"]] {
                let done = try neighbours.tidemark(command, conninfo: conninfo)
                #expect(done.ending == .exited(0), "\(address.testDescription): \(done)")
            }
            let check = try neighbours.tidemark(["check", "--only", "server"], conninfo: conninfo)
            #expect(check.ending == .exited(0), "\(address.testDescription): \(check)")
        }
        try neighbours.site.archiveEverything()
        let recovered = try neighbours.tidemark(
            ["recover-table", "-t", "postgres.public.t", "--target", "latest", "--into-table=public.back"],
            conninfo: nil)
        #expect(recovered.ending == .exited(0), "\(recovered)")
        #expect(try neighbours.site.cluster.psql("select count(*) from back") == "10")
    }

    @Test func `a server with several socket directories is found`() throws {
        let more = try Scratch()
        try runAsServerUser("/bin/mkdir", ["\(more.path)/a", "\(more.path)/b"])
        let neighbours = try Neighbours()
        let cluster = neighbours.site.cluster
        try cluster.append(
            to: "postgresql.conf", ["unix_socket_directories = '\(more.path)/a, \(cluster.directory)'"])
        try cluster.stop(mode: "fast")
        try cluster.start()
        for conninfo in [nil, "host=\(more.path)/a", "host=\(cluster.directory)", "port=5432"] {
            let done = try neighbours.tidemark(["init"], conninfo: conninfo)
            #expect(done.ending == .exited(0), "\(conninfo ?? "none"): \(done)")
        }
    }

    @Test func `what the connection string says is not replaced`() throws {
        let neighbours = try Neighbours()
        try #require(try neighbours.tidemark(["init"], conninfo: nil).ending == .exited(0))
        let other = neighbours.other.directory
        for conninfo in ["host=\(other) port=5499", "host=\(other)", "port=5499"] {
            let done = try neighbours.tidemark(["backup"], conninfo: conninfo)
            #expect(done.ending == .exited(1), "\(conninfo): \(done)")
            #expect(done.errors.contains("the server does not run on data directory"), "\(conninfo): \(done)")
        }
        let elsewhere = "host=\(other) port=5499"
        try #require(try neighbours.tidemark(["backup"], conninfo: nil).ending == .exited(0))
        try neighbours.site.archiveEverything()
        let recover = ["recover-table", "-t", "postgres.public.t", "--target", "latest", "--into-table=public.back"]
        let refused = try neighbours.tidemark(recover, conninfo: elsewhere)
        #expect(refused.ending == .exited(1) && refused.errors.contains("another cluster's"), "\(refused)")
        // Whoever names the server means it.
        let meant = try neighbours.tidemark(recover + ["--conninfo", elsewhere], conninfo: nil)
        #expect(meant.ending == .exited(0) && meant.output.contains("public.back"), "\(meant)")
        let nowhere = try neighbours.tidemark(["backup"], conninfo: "host=/nowhere")
        #expect(nowhere.errors.contains("\"/nowhere/.s.PGSQL.5499\""), "\(nowhere)")
    }

    @Test func `a server that is stopped is told as such, and no other one is asked`() throws {
        let neighbours = try Neighbours()
        try #require(try neighbours.tidemark(["init"], conninfo: nil).ending == .exited(0))
        try neighbours.site.cluster.stop(mode: "fast")
        for command in [["backup"], ["init", "--write"], ["check", "--only", "server"]] {
            let done = try neighbours.tidemark(command, conninfo: "user=postgres", environment: ["PGUSER": "postgres"])
            #expect((done.output + done.errors).contains("no server is running on data directory"), "\(done)")
        }
        let asked = try neighbours.tidemark(["backup"], conninfo: nil)
        #expect(asked.errors.contains("the server does not run on data directory"), "\(asked)")
    }
}

import Glibc
public import Platform

/// A cluster that archives with the built `tidemark` into a repository of its own: what a DBA has after the first steps
/// of README.
public final class TestSite: Sendable {
    public let cluster: TestCluster
    /// Holds the repository, the state and tidemark.conf.
    public let scratch: Scratch
    public var repository: String { scratch.file("repository") }
    public var configuration: String { scratch.file("tidemark.conf") }

    /// - Parameters:
    ///   - settings: further lines for postgresql.conf.
    ///   - configuration: further lines for the cluster's section of tidemark.conf.
    public init(
        _ server: TestServer = .v15, settings: [String: String] = [:], initdb: [String] = [],
        configuration lines: [String] = [],
        initialize: Bool = true
    ) throws {
        scratch = try Scratch()
        // Like /tmp: no user can replace another's files in it.
        chmod(scratch.path, 0o1777)
        let program = try Executables.tidemark()
        let config = scratch.file("tidemark.conf")
        var all = ["archive_mode": "on", "archive_command": "'\(program) archive-push --config \(config) %p'"]
        all.merge(settings) { $1 }
        cluster = try TestCluster(server, settings: all, initdb: initdb, start: false)
        let text =
            ([
                "repository = '\(scratch.file("repository"))'", "state_directory = '\(scratch.file("state"))'",
                "[cluster main]",
                "data_directory = '\(cluster.data)'", "conninfo = '\(cluster.conninfo)'",
                "bin_directory = '\(server.bin)'",
            ] + lines).joined(separator: "\n") + "\n"
        try createDurably(config, bytes: Array(text.utf8), mode: 0o644)
        try cluster.start()
        if initialize { try tidemark(["init"], expectSuccess: true) }
    }

    /// Runs `tidemark` with this site's configuration, as the server's user.
    @discardableResult
    public func tidemark(
        _ arguments: [String], environment: [String: String] = [:], expectSuccess: Bool = false
    ) throws -> Finished {
        let finished = try runAsServerUser(
            Executables.tidemark(), arguments,
            environment: ["TIDEMARK_CONFIG": configuration].merging(environment) { $1 },
            expectSuccess: expectSuccess)
        if let wrong = wrongPlural(in: finished.output + finished.errors) {
            throw Problem("tidemark \(arguments) said \"\(wrong)\":\n\(finished.output)\(finished.errors)")
        }
        // Readers differ in which of two keys of the same name they take.
        if arguments.contains("--json"), let key = repeatedKey(inJSON: finished.output) {
            throw Problem("tidemark \(arguments) printed the key \"\(key)\" twice in an object:\n\(finished.output)")
        }
        return finished
    }

    /// The directory, below the cluster's state, for what this host has learned from the repository.
    public func learned() throws -> String {
        let state = scratch.file("state/main")
        let found = try Files.list(state).filter { $0.hasPrefix("in-") }
        guard found.count == 1 else { throw Problem("\(state) has \(found)") }
        return "\(state)/\(found[0])"
    }

    /// The complete backups in the output of `list`.
    public func backupLabels() throws -> Set<String> {
        let listed = try tidemark(["list", "--json"])
        // 3: something is wrong with what is listed.
        guard [.exited(0), .exited(3)].contains(listed.ending) else { throw Problem("list: \(listed)") }
        return Set(listed.output.split(separator: "\"label\"").dropFirst().map { String($0.split(separator: "\"")[1]) })
    }

    /// Ends the current segment and waits until the server believes that everything up to it is archived.
    public func archiveEverything() throws {
        try cluster.psql("select pg_switch_wal()")
        try cluster.waitForArchiver()
    }
}

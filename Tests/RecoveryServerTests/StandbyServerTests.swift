import Glibc
import Platform
import Support
import Testing

/// A server made from a recovered one.
final class Sibling: Sendable {
    let site: TestSite
    let scratch: Scratch
    let path: String
    private var socket: String { scratch.path }
    var conninfo: String { "host=\(scratch.path) user=postgres" }

    init(_ site: TestSite) throws {
        self.site = site
        scratch = try Scratch()
        path = scratch.file("data")
    }

    deinit { _ = try? run("pg_ctl", ["-D", path, "-m", "immediate", "-w", "-t", "300", "stop"], expectSuccess: false) }

    @discardableResult
    func run(_ program: String, _ arguments: [String], expectSuccess: Bool = true) throws -> Finished {
        try runAsServerUser("\(site.cluster.server.bin)/\(program)", arguments, expectSuccess: expectSuccess)
    }

    /// Lines for postgresql.conf that make the copy a server of its own, with its own configuration of tidemark.
    func configure(_ lines: [String] = []) throws {
        let own = scratch.file("tidemark.conf")
        let program = try Executables.tidemark()
        try runAsServerUser(
            "/bin/sh",
            [
                "-c",
                """
                sed "s|^data_directory = .*|data_directory = '$2'|; s|^conninfo = .*|conninfo = '$3 dbname=postgres'|" "$1" >"$4"
                printf '%s\\n' "$5" >>"$2/postgresql.conf"
                """, "sh", site.configuration, path, conninfo, own,
                ([
                    "unix_socket_directories = '\(socket)'",
                    "archive_command = '\(program) archive-push --config \(own) %p'",
                    "restore_command = '\(program) archive-get --config \(own) %f %p'",
                ] + lines).joined(separator: "\n"),
            ])
    }

    func follow(_ upstream: String) throws {
        try configure(["primary_conninfo = '\(upstream)'"])
        try runAsServerUser("/usr/bin/touch", [path + "/standby.signal"])
    }

    func start() throws {
        let finished = try run(
            "pg_ctl", ["-D", path, "-l", scratch.file("log"), "-w", "-s", "-t", "600", "start"], expectSuccess: false)
        guard finished.ending == .exited(0) else { throw Problem("\(path) did not start", detail: log) }
    }

    var log: String {
        (try? Files.readText(scratch.file("log"))) ?? (try? Files.readText(path + "/tidemark-recovery.log")) ?? "no log"
    }

    func psql(_ sql: String) throws -> String {
        try run("psql", ["-h", scratch.path, "-U", "postgres", "-d", "postgres", "-XAtq", "-c", sql]).output.trimmed
    }

    func wait(for rows: String, _ situation: String) throws {
        do {
            try site.cluster.wait(for: "\(rows) rows in \(path), \(situation)") {
                let sql = "select count(*) || case when pg_is_in_recovery() then ' standby' else ' primary' end from t"
                let said = try run(
                    "psql", ["-h", scratch.path, "-U", "postgres", "-d", "postgres", "-XAtq", "-c", sql],
                    expectSuccess: false)
                return said.output == "\(rows) standby\n"
            }
        } catch { throw Problem("\(error)", detail: log) }
    }
}

/// A recovered server works as any other: its standbys stream, follow a promotion and fail over, and so does it.
@Suite(.serialized) struct StandbyServerTests {
    struct Story: Sendable, CustomTestStringConvertible {
        let server: TestServer
        let target: RecoveryGoal
        var testDescription: String { "\(server), recovered to \(target)" }
    }
    static let stories =
        TestServer.allCases.flatMap { server in
            [RecoveryGoal.time, .latest].map { Story(server: server, target: $0) }
        } + [Story(server: .v15, target: .name), Story(server: .v16, target: .lsn)]

    @Test(arguments: stories)
    func `standbys of a recovered server stream, follow a promotion and fail over`(_ story: Story) throws {
        let past = try LeftoverServerTests.Past(
            story.server,
            settings: [
                "wal_log_hints": "on", "wal_keep_size": "'64MB'", "max_wal_senders": "10", "hot_standby": "on",
            ])
        let site = past.site
        let a = site.cluster
        try a.stop()
        let recovered = try site.tidemark(["recover", "--start", "--yes"] + past.targets[story.target]!)
        try #require(recovered.ending == .exited(0), "\(recovered.errors)")
        let upstream = "host=\(a.directory) user=postgres"
        var count = Int(try a.psql("select count(*) from t"))!
        func insert(_ psql: (String) throws -> String) throws -> String {
            _ = try psql("insert into t values (0)")
            count += 1
            return String(count)
        }
        try site.tidemark(["backup"], expectSuccess: true)

        // Made by pg_basebackup with -R and without, from a copied directory, and by recover.
        let (b, c, d, e) = (try Sibling(site), try Sibling(site), try Sibling(site), try Sibling(site))
        try b.run(
            "pg_basebackup", ["-R", "-D", b.path, "-h", a.directory, "-U", "postgres", "-c", "fast", "-X", "stream"])
        try b.configure()
        try c.run("pg_basebackup", ["-D", c.path, "-h", a.directory, "-U", "postgres", "-c", "fast", "-X", "stream"])
        try c.follow(upstream)
        try a.stop()
        try runAsServerUser("/bin/cp", ["-a", a.data, d.path])
        try d.follow(upstream)
        try a.start()
        for sibling in [b, c, d] { try sibling.start() }
        let standby = try site.tidemark([
            "recover", "--target", "latest", "--standby", "--start", "--yes", "--data-directory", e.path,
            "--set", "primary_conninfo=\(upstream)", "--set", "unix_socket_directories=\(e.scratch.path)",
        ])
        try #require(standby.ending == .exited(0), "\(standby.errors)\(e.log)")
        var rows = try insert { try a.psql($0) }
        for sibling in [b, c, d, e] { try sibling.wait(for: rows, "streaming from the recovered server") }
        // Made of a standby that recover made, with that one's settings.
        let f = try Sibling(site)
        try f.run(
            "pg_basebackup",
            ["-R", "-D", f.path, "-h", e.scratch.path, "-U", "postgres", "-c", "fast", "-X", "stream"])
        try f.configure()
        let automatic = f.path + "/postgresql.auto.conf"
        try runAsServerUser(
            "/bin/sh", ["-c", "echo \"unix_socket_directories = '\(f.scratch.path)'\" >>'\(automatic)'"])
        #expect(try Files.readText(automatic).contains("recovery-end"))
        try f.start()
        try f.wait(for: rows, "streaming from the recovered standby")

        // A planned switchover: the others follow b onto its timeline.
        try a.stop()
        try b.run("pg_ctl", ["-D", b.path, "-w", "-t", "600", "-s", "promote"])
        rows = try insert { try b.psql($0) }
        for sibling in [c, d, e] {
            _ = try sibling.psql("alter system set primary_conninfo = '\(b.conninfo)'")
            _ = try sibling.psql("select pg_reload_conf()")
        }
        for sibling in [c, d, e, f] { try sibling.wait(for: rows, "after the promotion of b") }
        // The recovered server comes back as a standby.
        try a.append(to: "postgresql.conf", ["primary_conninfo = '\(b.conninfo)'"])
        try runAsServerUser("/usr/bin/touch", [a.data + "/standby.signal"])
        try a.start()
        try a.wait(for: "the recovered server to follow b") { try a.psql("select count(*) from t") == rows }
        // A failover, to one that was made from b.
        try b.run("pg_ctl", ["-D", b.path, "-m", "immediate", "-w", "-t", "600", "-s", "stop"])
        for sibling in [c, d, f, e] {
            try sibling.run("pg_ctl", ["-D", sibling.path, "-w", "-t", "600", "-s", "promote"])
            let left = try Files.readText(sibling.path + "/postgresql.auto.conf")
            #expect(!left.contains("recovery_end_command") && !left.contains("restore_command"), "\(left)")
            #expect(try sibling.psql("select pg_is_in_recovery()") == "f", "\(sibling.log)")
            #expect(try insertOne(sibling) == String(count + 1))
        }
    }

    private func insertOne(_ sibling: Sibling) throws -> String {
        _ = try sibling.psql("insert into t values (0)")
        return try sibling.psql("select count(*) from t")
    }

    @Test func `check finds settings that a recovery left, and its command removes them`() throws {
        let site = try TestSite(initdb: ["--wal-segsize=1"])
        let cluster = site.cluster
        func check() throws -> (text: String, remedy: String?) {
            let text = try site.tidemark(["check", "--only", "recovery_settings"]).output
            let line = text.split(separator: "\n").first { $0.contains("Remove them: ") }.map { String($0) }
            let remedy = line.flatMap { line in line.firstRange(of: "them: ").map { String(line[$0.upperBound...]) } }
            return (text, remedy.map { $0.replacing("[recovery_settings]", with: "").trimmed })
        }
        func expect(_ words: String, _ situation: String) throws {
            let text = try check().text
            #expect(text.contains(words), "\(situation): \(text)")
        }
        try expect("No recovery targets are left over.", "at first")
        try cluster.psql("alter system set recovery_target_time = '2026-11-05 09:59:00+00'")
        try cluster.psql("alter system set recovery_target_action = 'promote'")
        try cluster.append(to: "more.conf", ["  Recovery_Target_Timeline='current'"])
        try cluster.append(to: "postgresql.conf", ["include 'more.conf'"])
        let (text, remedy) = try check()
        #expect(text.hasPrefix("warning"), "\(text)")
        #expect(text.contains("promotes itself at the first commit after 2026-11-05 09:59:00+00"), "\(text)")
        #expect(text.contains("doesn't follow when another is promoted"), "\(text)")
        let command = try #require(remedy, "\(text)")
        let finished = try runAsServerUser(
            "/bin/sh", ["-c", "PATH=\(cluster.server.bin):$PATH; \(command)"], expectSuccess: false)
        #expect(finished.ending == .exited(0), "\(command): \(finished.errors)")
        try expect("No recovery targets are left over.", command)
        #expect(try Files.readText(cluster.data + "/more.conf") == "#  Recovery_Target_Timeline='current'\n")
        // With a standby or a server that is down, too.
        try cluster.psql("alter system set recovery_target_name = 'x'")
        try cluster.stop()
        try expect("dies when it is promoted", "server down")
        try runAsServerUser("/usr/bin/touch", [cluster.data + "/standby.signal"])
        try expect("lacks everything after that when it takes over", "a standby")
        try runAsServerUser(
            "/bin/sh", ["-c", "rm '\(cluster.data)/standby.signal'; touch '\(cluster.data)/recovery.signal'"])
        try expect("No recovery targets are left over.", "a recovery that goes on")
    }
}

import Platform
import Support
import Testing

/// A cluster, stopped after its backup and some more WAL, whose configuration and WAL name every kind of place outside
/// its data directory: tablespaces, logs, commands, another server that it subscribes to.
final class ReachingCluster: Sendable {
    let site: TestSite
    /// What no copy may touch: tablespaces, and files named by commands and settings.
    let place: String
    private let publisher: TestCluster
    private let scratch: Scratch

    /// The copies' values of settings that the original sets otherwise.
    private static let neutral = [
        "archive_mode": "off", "archive_command": "(disabled)", "archive_cleanup_command": "",
        "primary_conninfo": "", "primary_slot_name": "", "wal_receiver_create_temp_slot": "off",
        "max_logical_replication_workers": "0",
        "synchronous_standby_names": "", "recovery_min_apply_delay": "0", "listen_addresses": "", "ssl": "off",
        "bonjour": "off",
        "cluster_name": "", "hot_standby_feedback": "off", "external_pid_file": "", "log_directory": "log",
        "log_filename": "postgresql-%Y-%m-%d_%H%M%S.log", "log_destination": "stderr",
    ]

    private static func neutral(on server: TestServer) -> [String: String] {
        let some = [
            (0...15, ["promote_trigger_file": ""]), (15...99, ["archive_library": ""]),
            (17...99, ["sync_replication_slots": "off", "synchronized_standby_slots": ""]),
        ]
        return some.filter { $0.0.contains(Int(server.rawValue)) }.reduce(neutral) { $0.merging($1.1) { $1 } }
    }

    /// Libraries that the original loads: all, those that a copy loads, and the rest. Other versions' packages lack
    /// contrib.
    private let libraries: (all: String, kept: String, left: String)

    init(_ server: TestServer) throws {
        let acting =
            server == .v15
            ? (all: "pg_stat_statements, pg_prewarm", kept: "pg_stat_statements", left: "pg_prewarm")
            : (all: "vector", kept: "", left: "vector")
        libraries = acting
        scratch = try Scratch()
        let place = scratch.file("outside")
        self.place = place
        publisher = try TestCluster(
            server, settings: ["wal_level": "logical", "log_replication_commands": "on", "log_connections": "on"])
        try publisher.psql("create table feed (n int primary key); create publication news for table feed")
        site = try TestSite(
            server, settings: ["max_prepared_transactions": "2"], initdb: ["--wal-segsize=1"],
            configuration: [
                "drill_sql = 'select count(*) = 100 from in_kept; select length(current_setting(''shared_preload_libraries'')) = 0'"
            ])
        let cluster = site.cluster
        try runAsServerUser(
            "/bin/mkdir",
            ["-p"] + ["kept", "dropped", "young", "young/within", "real", "gone", "log"].map { "\(place)/\($0)" })
        try runAsServerUser("/bin/ln", ["-s", "real", place + "/link"])
        for (name, folder) in [("kept", "kept"), ("dropped", "dropped")] {
            try cluster.psql("create tablespace \(name) location '\(place)/\(folder)'")
            try cluster.psql("create table in_\(name) tablespace \(name) as select generate_series(1, 100) i")
        }
        try cluster.psql("create table feed (n int primary key)")
        try cluster.psql("create subscription news connection '\(publisher.conninfo)' publication news")
        func touch(_ name: String) -> String { "'touch \(place)/\(name)'" }
        try cluster.append(
            to: "postgresql.conf",
            [
                "data_directory = '\(cluster.data)'", "archive_cleanup_command = \(touch("cleanup"))",
                "recovery_end_command = \(touch("ended"))", "external_pid_file = '\(place)/pid'",
                "log_directory = '\(place)/log'", "log_filename = '../log/same.log'", "logging_collector = on",
                "log_destination = 'syslog,stderr'", "cluster_name = 'node1'", "hot_standby_feedback = on",
                "primary_conninfo = '\(publisher.conninfo) application_name=copy'", "primary_slot_name = 'slot'",
                "recovery_min_apply_delay = '1h'", "shared_preload_libraries = '\(acting.all)'",
                "wal_receiver_create_temp_slot = on", "include '\(place)/more.conf'",
            ] + (server.rawValue <= 15 ? ["promote_trigger_file = '\(place)/promote'"] : [])
                + (server.rawValue >= 17
                    ? ["sync_replication_slots = on", "synchronized_standby_slots = 'standby'"] : []))
        if server.rawValue >= 17 { try cluster.psql("select pg_create_physical_replication_slot('standby')") }
        try runAsServerUser(
            "/bin/sh",
            [
                "-c", "echo \"data_directory = '$1'\" >\"$2/more.conf\"; touch \"$2/promote\"", "sh", cluster.data,
                place,
            ])
        try cluster.restart()
        // The backup has a setting that this server ignores: it archives by its command.
        if server.rawValue >= 15 { try cluster.append(to: "postgresql.conf", ["archive_library = 'nowhere'"]) }
        try site.tidemark(["backup"], expectSuccess: true)
        try runAsServerUser("/bin/sed", ["-i", "/^archive_library/d", cluster.data + "/postgresql.conf"])
        // From now on every commit waits for a standby that doesn't exist.
        try cluster.append(to: "postgresql.conf", ["synchronous_standby_names = 'node2'"])
        try sql("select pg_reload_conf()")
        try work(server)
        try sql("select pg_switch_wal()")
        try site.archiveEverything()
        try cluster.stop()
        // A change that a subscribed copy would fetch.
        try publisher.psql("insert into feed values (1)")
        try publisher.psql("checkpoint")
    }

    /// Writes WAL about tablespaces after the backup.
    private func work(_ server: TestServer) throws {
        for (name, folder) in [("young", "young"), ("within", "young/within"), ("linked", "link"), ("gone", "gone")] {
            try sql("create tablespace \(name) location '\(place)/\(folder)'")
            try sql(
                "create table in_\(name) tablespace \(name) as select g i, repeat('x', 50) x from generate_series(1, 10000) g"
            )
            try sql("create index on in_\(name) (i) tablespace \(name)")
        }
        try sql("drop table in_gone")
        try sql("drop tablespace gone")
        // Dropped and created again in the same place; and moved between places.
        try sql("drop table in_dropped")
        try sql("drop tablespace dropped")
        try sql("create tablespace dropped location '\(place)/dropped'")
        try sql("create table in_dropped tablespace dropped as select generate_series(1, 200) i")
        try sql("create database elsewhere tablespace linked")
        try sql("alter table in_kept set tablespace within")
        try sql("set allow_in_place_tablespaces = on", "create tablespace inside location ''")
        try sql("create table in_inside tablespace inside as select 1 i")
        try sql("checkpoint")
        try sql("delete from in_young where i % 10 = 0")
        try sql("checkpoint")
        try sql("select pg_create_restore_point('end')")
    }

    /// Runs statements without waiting for a standby.
    @discardableResult
    func sql(_ statements: String...) throws -> String {
        try runAsServerUser(
            site.cluster.server.bin + "/psql",
            ["-h", site.cluster.directory, "-U", "postgres", "-d", "postgres", "-XAtq", "-v", "ON_ERROR_STOP=1"]
                + statements.flatMap { ["-c", $0] },
            environment: ["PGOPTIONS": "-c synchronous_commit=local"]
        ).output
    }

    /// Every file outside of copies: kind, inode, mode, times, size, target, and content.
    func outside() throws -> String {
        try run(
            "/bin/sh",
            [
                "-c",
                "find \"$1\" \"$2\" ! -name 'server.log' -printf '%p %y %i %m %T@ %C@ %s %l\\n' | sort; "
                    + "find \"$1\" \"$2\" -type f | sort | xargs md5sum",
                "sh", place, site.cluster.data,
            ]
        ).output
    }

    /// How many connections the publisher has had that ask for changes.
    func visitors() throws -> Int { try ReachingCluster.visitors(publisher) }
    private static func visitors(_ publisher: TestCluster) throws -> Int {
        try Files.readText(publisher.logFile).split(separator: "\n").count {
            $0.contains("replication connection authorized")
        }
    }

    func recover(by way: OwnPlaceServerTests.Way) throws {
        let copy = try RecoveredDirectory(site)
        let places = try Scratch()
        let mapping = ["kept", "dropped"].flatMap { ["--tablespace-mapping", "\(place)/\($0)=\(places.file($0))"] }
        let finished = try copy.recover(Array(way.arguments.dropFirst()) + mapping)
        try #require(finished.ending == .exited(0), "\(way.name): \(finished.errors)\(copy.log)")
        for sentence in ["\(libraries.left) at its start", "more.conf\\\" sets data_directory"] {
            #expect(finished.output.contains(sentence), "\(way.name): \(finished.output)")
        }
        let answer = try RecoverAnswer(finished.output)
        let neutral = ReachingCluster.neutral(on: site.cluster.server)
        for (name, value) in neutral {
            #expect(try copy.psql("show \(name)") == value, "\(way.name): \(name)")
        }
        for name in neutral.keys
        where !["external_pid_file", "log_directory", "log_filename"].contains(name) {
            #expect(
                answer.plan.settings[name] != nil || name == "archive_mode",
                "\(way.name): the plan doesn't tell \(name)")
        }
        #expect(try copy.psql("show data_directory") == copy.path)
        #expect(try copy.psql("show shared_preload_libraries") == libraries.kept)
        // The original's own is left out.
        if way.name == "standby" {
            #expect(try copy.psql("show recovery_end_command").hasSuffix("/tidemark recovery-end || :"))
        }
        // A standby is handed over as soon as it is consistent, and goes on replaying: it may not have the table yet.
        try site.cluster.wait(for: "the deletes, by way of \(way.name)") {
            try copy.psql("select to_regclass('in_young') is not null") == "t"
                && copy.psql("select count(*) from in_young") == "9000"
        }
        #expect(try copy.psql("select count(*) from in_dropped") == "200", "\(way.name)")
        #expect(
            try copy.psql("select count(*) from pg_stat_activity where backend_type like 'logical replication%'") == "0"
        )
        if way.name == "beside" {
            try copy.psql("create table written as select 1; checkpoint")
            try copy.psql("drop table in_within, in_young")
        }
        try copy.psql("checkpoint")
        try copy.pgControl(["stop"])
    }
}

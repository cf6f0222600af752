import Glibc
import Planning
import Platform
import Recovery
import Repository
import Support
import WAL

/// A randomized history on a real server that archives with the built tidemark: concurrent clients commit, roll back,
/// prepare, and set restore points of repeated names, by a clock that is coarse and sometimes runs backwards.
final class History: Sendable {
    let site: TestSite
    let server: TestServer
    /// Copies of the data directory, made in backup mode.
    let copies: Scratch

    init(_ server: TestServer) throws {
        self.server = server
        copies = try Scratch()
        let clock = copies.file("coarse-clock.so")
        let source = Files.parent(#filePath) + "/coarse-clock.c"
        let compiled = try run("cc", ["-O2", "-shared", "-fPIC", "-o", clock, source])
        guard compiled.ending == .exited(0) else { throw Problem("cc: \(compiled.errors)") }
        chmod(clock, 0o755)
        site = try TestSite(
            server,
            settings: [
                "max_prepared_transactions": "20", "max_wal_size": "64MB", "wal_keep_size": "0",
                "autovacuum": "off", "hot_standby": "on",
            ],
            initdb: ["--wal-segsize=1"], initialize: false)
        try site.cluster.stop()
        try site.cluster.start(environment: ["LD_PRELOAD": clock])
        try site.tidemark(["init"], expectSuccess: true)
        try site.cluster.psql("create table work (xid bigint, client int); create table filler (n int, text text)")
    }

    /// Copies the running server's directory, as a base backup does.
    func backup(_ label: String, of recovered: RecoveredServer? = nil) throws -> RestorableBackup {
        let (data, socket) = recovered.map { ($0.data, $0.scratch.path) } ?? (site.cluster.data, site.cluster.directory)
        let copy = copies.file(label)
        // One session: backup mode ends with it. pg_wal isn't part of a backup.
        let script = """
            select \(server.startBackup(label));
            \\! mkdir -m 700 \(copy) && cd \(data) && tar -c --exclude='./pg_wal/*' --exclude='./postmaster.*' . | tar -x -C \(copy)
            select lsn as stop, labelfile as label from \(server.stopBackup(waiting: false)) \\gset
            \\o \(copy)/backup_label
            \\qecho :label
            \\o
            \\echo :stop
            """
        let file = copies.file(label + ".sql")
        try createDurably(file, bytes: Array(script.utf8), mode: 0o644)
        let before = Moment(microseconds: Clock.now)
        let finished = try runAsServerUser(
            TestServer.v15.bin + "/psql",
            ["-h", socket, "-U", "postgres", "-XAtq", "-v", "ON_ERROR_STOP=1", "-f", file])
        let text = try Files.readText(copy + "/backup_label")
        func field(_ name: String) -> Substring {
            let line = text.split(separator: "\n").first { $0.hasPrefix(name + ": ") } ?? ""
            return line.dropFirst(name.utf8.count + 2).prefix { $0 != " " }
        }
        guard let start = LSN(String(field("START WAL LOCATION"))), let timeline = UInt32(field("START TIMELINE")),
            let stop = finished.output.split(separator: "\n").compactMap({ LSN(String($0)) }).last
        else { throw Problem("no backup: \(finished.output)\(finished.errors)\(text)") }
        return RestorableBackup(
            label: label, timeline: TimelineID(timeline), start: start, stop: stop, startTime: before,
            stopTime: Moment(microseconds: Clock.now), size: 0)
    }

    /// Lets `clients` work concurrently, `transactions` each.
    func work(clients: Int, transactions: Int, on recovered: RecoveredServer? = nil) throws {
        let script = #"""
            \set kind random(1, 20)
            \set r random(1, 1000000000)
            \set point random(1, 4)
            \if :kind <= 11
            begin; insert into work values (pg_current_xact_id()::text::bigint, :client_id); commit;
            \elif :kind <= 14
            begin; insert into work values (pg_current_xact_id()::text::bigint, :client_id); rollback;
            \elif :kind <= 16
            begin; insert into work values (pg_current_xact_id()::text::bigint, :client_id); prepare transaction 'p:client_id';
            commit prepared 'p:client_id';
            \elif :kind = 17
            begin; insert into work values (pg_current_xact_id()::text::bigint, :client_id); prepare transaction 'p:client_id';
            rollback prepared 'p:client_id';
            \elif :kind = 18
            select pg_create_restore_point('point :point');
            \elif :kind = 19
            begin; insert into work values (pg_current_xact_id()::text::bigint, :client_id); savepoint a;
            insert into work values (-1, :client_id); rollback to a; insert into work values (-2, :client_id); commit;
            \else
            begin; insert into work values (pg_current_xact_id()::text::bigint, :client_id);
            insert into filler select n, repeat('x', 100) from generate_series(1, 500) n; commit;
            \endif
            """#
        let file = copies.file("work.pgbench")
        try replaceDurably(file, bytes: Array(script.utf8), mode: 0o644)
        try runAsServerUser(
            TestServer.v15.bin + "/pgbench",
            [
                "-h", recovered?.scratch.path ?? site.cluster.directory, "-U", "postgres", "-n", "-c", "\(clients)",
                "-j",
                "\(clients)", "-t", "\(transactions)", "-f", file, "postgres",
            ])
    }

    func source(_ backups: [RestorableBackup]) throws -> ArchivePlanSource {
        let store = DirectoryStore(site.repository)
        guard let incarnation = try Repository(store).incarnations(of: "main").first else {
            throw Problem("nothing archived")
        }
        return ArchivePlanSource(
            archive: ClusterArchive(incarnation, in: store), segmentSize: 1 << 20, backups: backups, jobs: 2)
    }
}

/// What PostgreSQL made of a plan.
struct Outcome {
    let timeline: TimelineID
    let end: LSN
    let reason: String
    let xids: Set<UInt32>
}

/// A server that carried out a plan; stopped and removed with the object.
final class RecoveredServer: Sendable {
    let server: TestServer
    let scratch: Scratch
    var data: String { scratch.file("data") }

    /// - Parameter archives: whether its archive_command stays on, as in the cluster's own directory.
    init(_ history: History, _ plan: Plan, archives: Bool) throws {
        server = history.server
        scratch = try Scratch()
        try runAsServerUser("/bin/cp", ["-a", history.copies.file(plan.backup.label), data])
        let command = "\(try Executables.tidemark()) archive-get --config \(history.site.configuration) %f %p"
        var setup = RecoverySetup(restoreCommand: command, isOwnDirectory: archives)
        setup.extra = [
            RecoverySetting("unix_socket_directories", scratch.path), RecoverySetting("listen_addresses", ""),
        ]
        let lines = plan.settings(for: setup, directory: scratch.path).map(\.line).joined(separator: "\n") + "\n"
        try runAsServerUser(
            "/bin/sh",
            [
                // The backup of a recovered server has that recovery's target; `recover` takes it out.
                "-c",
                "sed -i /^recovery_/d \"$2\"/postgresql.auto.conf; printf %s \"$1\" >> \"$2\"/postgresql.auto.conf; "
                    + "touch \"$2\"/recovery.signal", "sh", lines, data,
            ])
        let log = scratch.file("log")
        let started = try runAsServerUser(
            server.bin + "/pg_ctl", ["-D", data, "-l", log, "-w", "-t", "300", "start"], expectSuccess: false)
        var ready = started.ending == .exited(0)
        var isPromoted = false
        try wait(for: "the end of recovery, or of the server") {
            isPromoted = try psql("select pg_is_in_recovery()") == "f\n"
            ready = try ready && Files.exists(data + "/postmaster.pid")
            return isPromoted || !ready
        }
        guard !isPromoted else { return }
        throw Problem("recovery failed", detail: (try? Files.readText(log)) ?? "")
    }

    deinit {
        _ = try? runAsServerUser(server.bin + "/pg_ctl", ["-D", data, "-m", "immediate", "-w", "-t", "300", "stop"])
    }

    @discardableResult
    func psql(_ sql: String) throws -> String {
        try runAsServerUser(
            TestServer.v15.bin + "/psql", ["-h", scratch.path, "-U", "postgres", "-XAtq", "-c", sql],
            expectSuccess: false
        ).output
    }

    /// Stops it once everything up to now is archived.
    func retire() throws {
        try psql("select pg_switch_wal()")
        try wait(for: "the archiver") {
            try psql("select count(*) from pg_ls_archive_statusdir() where name like '%.ready'") == "0\n"
        }
        try runAsServerUser(server.bin + "/pg_ctl", ["-D", data, "-m", "fast", "-w", "-t", "600", "stop"])
    }

    func outcome() throws -> Outcome {
        guard let newest = try Files.list(data + "/pg_wal").filter({ $0.hasSuffix(".history") }).max(),
            case .history(let timeline)? = ArchiveFileName(newest)
        else { throw Problem("no new timeline") }
        let history = try TimelineHistory(timeline: timeline, file: Files.readText("\(data)/pg_wal/\(newest)"))
        let rows = try psql("select xid from work where xid > 0")
        return Outcome(
            timeline: timeline, end: history.ancestors.last!.switchPoint, reason: history.ancestors.last!.reason,
            xids: Set(rows.split(separator: "\n").compactMap { UInt32($0) }))
    }
}

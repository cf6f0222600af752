import Glibc
import Platform
import Support
import Testing

/// What interrupts a recovery, and that it continues once the cause is gone.
@Suite(.serialized) struct InterruptedServerTests {
    private static let sum = "select md5(string_agg(n || x, ',' order by n)) from t"

    /// A site with a small backup, which its WAL makes much larger.
    private func site(rows: Int, configuration: [String] = []) throws -> TestSite {
        let site = try TestSite(
            settings: ["max_wal_size": "64MB"], initdb: ["--wal-segsize=1"], configuration: configuration)
        try site.cluster.psql("create table t (n int, x text)")
        try site.tidemark(["backup"], expectSuccess: true)
        try site.cluster.psql("insert into t select n, repeat(md5(n::text), 30) from generate_series(1, \(rows)) n")
        try site.archiveEverything()
        return site
    }

    @Test func `a disk that is too small, fills up during the restore, and again during the replay`() throws {
        try #require(geteuid() == 0, "mounting a small file system needs root")
        let site = try site(rows: 30_000)
        let directory = try RecoveredDirectory(site)
        let disk = directory.scratch.path
        func mount(_ arguments: [String]) throws {
            let mounted = try run("/bin/mount", arguments + [disk])
            try #require(mounted.ending == .exited(0), "\(mounted.errors)")
        }
        try mount(["-t", "tmpfs", "-o", "size=8m,mode=0777", "tidemark-test"])
        defer {
            _ = try? runAsServerUser(
                site.cluster.server.bin + "/pg_ctl", ["-D", directory.path, "-m", "immediate", "-w", "stop"],
                expectSuccess: false)
            _ = try? run("/bin/umount", ["-l", disk])
        }
        var finished = try directory.recover(["--target", "latest"])
        #expect(finished.ending == .exited(1))
        let refusal = "not enough space to recover into \"\(directory.path)\""
        #expect(finished.errors.contains(refusal), "\(finished.errors)")
        #expect(try Files.list(disk) == [])

        // Now there is room, until another file takes it while a write waits.
        try mount(["-o", "remount,size=45m"])
        let output = site.scratch.file("recover.log")
        let gate = try Gate(at: "write:60")
        let process = try directory.launch(
            ["--target", "latest", "--start"], log: output, environment: gate.environment)
        try gate.waitUntilReached()
        #expect(try Files.exists(directory.path + "/base/1"))
        _ = try run("/bin/sh", ["-c", "dd if=/dev/zero of='\(disk)/filler' bs=64k 2>/dev/null"])
        try gate.open()
        try site.cluster.wait(for: "the recovery to fail") { RecoveredDirectory.hasEnded(process) }
        let errors = try Files.readText(output)
        #expect(errors.contains("No space left on device"), "\(errors)")
        #expect(errors.contains("DETAIL:  What has been restored stays in \"\(directory.path)\""), "\(errors)")
        #expect(errors.contains("HINT:  Free space on the file system that holds it"), "\(errors)")
        #expect(errors.contains("recover --resume --data-directory \(directory.path)"), "\(errors)")
        #expect(try !Files.exists(directory.path + "/global/pg_control"))

        // With that room back the files fit; what replay adds does not.
        try Files.remove(disk + "/filler")
        finished = try site.tidemark(["recover", "--resume", "--data-directory", directory.path])
        #expect(finished.ending == .exited(1), "\(finished.output)")
        #expect(finished.errors.contains("the server stopped before it reached the target"), "\(finished.errors)")
        #expect(finished.errors.contains("HINT:  Free space on the file system that holds the data directory"))
        #expect(finished.errors.contains("recover --resume"), "\(finished.errors)")

        try mount(["-o", "remount,size=400m"])
        finished = try site.tidemark(["recover", "--resume", "--data-directory", directory.path])
        #expect(finished.ending == .exited(0), "\(finished.errors)")
        #expect(finished.output.contains("As predicted"), "\(finished.output)")
        #expect(try directory.psql(Self.sum) == site.cluster.psql(Self.sum))
        #expect(try LeftoverServerTests.left(in: directory.path) == [])
    }

    @Test(arguments: ["tidemark", "the server"])
    func `killed in the middle of the replay`(_ victim: String) throws {
        let site = try site(rows: 6_000)
        let directory = try RecoveredDirectory(site)
        let get = "\(try Executables.tidemark()) archive-get --config \(site.configuration) --cluster main %f %p"
        let gate = try Gate(at: "restore_command")
        let command = try gate.restoreCommand(get, after: 4)
        let process = try directory.launch(
            ["--target", "latest", "--start", "--set", "restore_command=\(command)"],
            log: site.scratch.file("recover.log"))
        try gate.waitUntilReached()
        if victim == "tidemark" {
            kill(process, SIGKILL)
        } else {
            kill(try #require(try directory.startupProcess()), SIGKILL)
        }
        try site.cluster.wait(for: "tidemark's end") { RecoveredDirectory.hasEnded(process) }
        if victim != "tidemark" { try gate.killWaitingCommand() }
        try gate.open()
        if victim != "tidemark" {
            let errors = try Files.readText(site.scratch.file("recover.log"))
            #expect(errors.contains("the server stopped before it reached the target"), "\(errors)")
            #expect(errors.contains("terminated by signal 9"), "\(errors)")
            #expect(errors.contains("recover --resume"), "\(errors)")
        }
        let resumed = try site.tidemark([
            "recover", "--resume", "--data-directory", directory.path, "--set", "work_mem=9MB",
        ])
        #expect(resumed.ending == .exited(0), "\(resumed.errors)")
        #expect(resumed.output.contains("As predicted"), "\(resumed.output)")
        if victim != "tidemark" { #expect(try directory.psql("show work_mem") == "9MB") }
        #expect(try directory.psql(Self.sum) == site.cluster.psql(Self.sum))
        #expect(try LeftoverServerTests.left(in: directory.path) == [])
    }
}

extension InterruptedServerTests {
    @Test func `interrupted during the restore and during the replay, it says how to continue, and does`() throws {
        let site = try site(rows: 6_000)
        let directory = try RecoveredDirectory(site)
        let resume = "HINT:  Continue with \"tidemark recover --resume --data-directory \(directory.path) "
        var output = site.scratch.file("restore.log")
        let restore = try Gate(at: "write:60")
        var process = try directory.launch(
            ["--target", "latest", "--start"], log: output, environment: restore.environment)
        try restore.waitUntilReached()
        // Started as by nohup(1): the loss of its terminal doesn't interrupt it.
        kill(process, SIGHUP)
        kill(process, SIGINT)
        try site.cluster.wait(for: "tidemark's end") { RecoveredDirectory.hasEnded(process) }
        var said = try Files.readText(output)
        #expect(said.contains("the recovery into \"\(directory.path)\" was interrupted"), "\(said)")
        #expect(said.contains("DETAIL:  What has been restored stays in"), "\(said)")
        #expect(said.contains(resume), "\(said)")
        #expect(try !Files.exists(directory.path + "/global/pg_control"))

        output = site.scratch.file("replay.log")
        let get = "\(try Executables.tidemark()) archive-get --config \(site.configuration) --cluster main %f %p"
        let replay = try Gate(at: "restore_command")
        let command = try replay.restoreCommand(get, after: 4)
        process = try directory.launch(["--resume", "--set", "restore_command=\(command)"], log: output)
        try replay.waitUntilReached()
        kill(process, SIGTERM)
        try site.cluster.wait(for: "tidemark's end") { RecoveredDirectory.hasEnded(process) }
        try replay.open()
        said = try Files.readText(output)
        #expect(said.contains("DETAIL:  The server continues to recover by itself."), "\(said)")
        #expect(said.contains(resume), "\(said)")
        // The history shows the running recovery, but not the interrupted restore.
        var history = try site.tidemark(["history", "--job", "recover"], expectSuccess: true).output
        #expect(history.contains("interrupted. The server continues to recover by itself."), "\(history)")
        #expect(history.split(separator: "\n").count == 3, "\(history)")

        let resumed = try site.tidemark(["recover", "--resume", "--data-directory", directory.path])
        #expect(resumed.ending == .exited(0), "\(resumed.errors)")
        #expect(resumed.output.contains("As predicted"), "\(resumed.output)")
        #expect(try directory.psql(Self.sum) == site.cluster.psql(Self.sum))
        #expect(try LeftoverServerTests.left(in: directory.path) == [])
        history = try site.tidemark(["history", "--job", "recover"], expectSuccess: true).output
        #expect(history.contains("directory \(directory.path), target "), "\(history)")
        // Each attempt has left its record.
        let incarnation = try Files.list(site.repository + "/main")[0]
        let audit = "\(site.repository)/main/\(incarnation)/recovery"
        let ends = try Files.list(audit).sorted().map { try Files.readText("\(audit)/\($0)/end.json") }
        #expect(ends.count == 3)
        #expect(ends.filter { $0.contains("\"result\" : \"interrupted\"") }.count == 2, "\(ends)")
    }

    @Test func `flags of the first call apply to the resumed one, unless it overrides them`() throws {
        let site = try site(rows: 100)
        let bin = site.cluster.server.bin
        let text = try Files.readText(site.configuration).replacing("'\(bin)'", with: "'/nowhere'")
        try replaceDurably(site.configuration, bytes: Array(text.utf8), mode: 0o644)
        let directory = try RecoveredDirectory(site)
        let recover = ["recover", "--data-directory", directory.path]
        let refused = try site.tidemark(recover + ["--target", "latest", "--start", "--yes"])
        #expect(
            refused.ending == .exited(1) && refused.errors.contains("could not run \"/nowhere/postgres\""), "\(refused)"
        )
        #expect(try Files.list(directory.scratch.path) == [])
        let killed = try site.tidemark(
            recover + ["--target", "latest", "--start", "--yes", "--bin-directory", bin],
            environment: ["TIDEMARK_FAULT": "write:60=kill"])
        #expect(killed.errors.contains("fault: killed"), "\(killed)")
        let otherwise = try site.tidemark(recover + ["--resume", "--bin-directory", "/elsewhere"])
        #expect(otherwise.ending == .exited(1) && otherwise.errors.contains("\"/elsewhere/postgres\""), "\(otherwise)")
        let resumed = try site.tidemark(recover + ["--resume"])
        #expect(resumed.ending == .exited(0), "\(resumed)")
        #expect(try directory.psql(Self.sum) == site.cluster.psql(Self.sum))
        #expect(try LeftoverServerTests.left(in: directory.path) == [])
    }

    @Test func `a repository that goes away during the restore or the replay ends neither for good`() throws {
        let site = try site(rows: 6_000, configuration: ["get_retry_timeout = 1s"])
        let directory = try RecoveredDirectory(site)
        func recover(
            _ arguments: [String], _ log: String, losing place: String, at gate: Gate,
            _ environment: [String: String] = [:]
        ) throws -> String {
            let away = place + ".away"
            let output = site.scratch.file(log)
            let process = try directory.launch(arguments, log: output, environment: environment)
            try gate.waitUntilReached()
            try Files.rename(place, to: away)
            try gate.open()
            try site.cluster.wait(for: "tidemark's end") { RecoveredDirectory.hasEnded(process) }
            try Files.rename(away, to: place)
            let said = try Files.readText(output)
            #expect(said.contains("tidemark recover --resume"), "\(said)")
            return said
        }
        let restore = try Gate(at: "open:/pack/")
        // Only the packs; files that are already open stay readable.
        let packs = try site.repository + "/main/" + Files.list(site.repository + "/main")[0] + "/pack"
        var said = try recover(
            ["--target", "latest", "--start"], "restore.log", losing: packs, at: restore, restore.environment)
        #expect(said.contains("DETAIL:  What has been restored stays in \"\(directory.path)\""), "\(said)")
        #expect(try !Files.exists(directory.path + "/global/pg_control"))

        let get = "\(try Executables.tidemark()) archive-get --config \(site.configuration) --cluster main %f %p"
        let replay = try Gate(at: "restore_command")
        let command = try replay.restoreCommand(get, after: 4)
        said = try recover(
            ["--resume", "--set", "restore_command=\(command)"], "replay.log", losing: site.repository, at: replay)
        #expect(said.contains("the server stopped before it reached the target"), "\(said)")

        let resumed = try site.tidemark(["recover", "--resume", "--data-directory", directory.path])
        #expect(resumed.ending == .exited(0), "\(resumed.errors)")
        #expect(resumed.output.contains("As predicted"), "\(resumed.output)")
        #expect(try directory.psql(Self.sum) == site.cluster.psql(Self.sum))
        #expect(try LeftoverServerTests.left(in: directory.path) == [])
    }
}

extension RecoveredDirectory {
    /// Starts `tidemark recover … --yes` into the directory as by nohup(1), its messages going to `log`; returns its
    /// process.
    func launch(_ arguments: [String], log: String, environment: [String: String] = [:]) throws -> pid_t {
        let script = """
            exec >"$0" 2>&1 </dev/null; echo $$ >"$0.pid"; trap '' HUP; exec env --default-signal=INT "$@"
            """
        let command =
            [script, log, try Executables.tidemark(), "recover", "--yes", "--config", site.configuration]
            + ["--data-directory", path] + arguments
        _ = try runAsServerUser(
            "/bin/sh", ["-c", "setsid /bin/sh -c \"$@\" >/dev/null 2>&1 &", "sh"] + command, environment: environment)
        var process: pid_t?
        try wait(for: "tidemark to start") {
            process = (try? Files.readText(log + ".pid")).flatMap { pid_t($0.trimmed) }
            return process != nil
        }
        return process!
    }

    /// Whether a process has ended. One whose parent is gone may stay in the process table for a while; a process with
    /// two threads that executes another program looks the same for a moment.
    static func hasEnded(_ process: pid_t) -> Bool {
        guard kill(process, 0) == 0 else { return true }
        guard (try? run("/bin/ls", ["/proc/\(process)/task"]).output.split(separator: "\n").count) == 1 else {
            return false
        }
        return (try? run("/bin/cat", ["/proc/\(process)/stat"]).output.contains(") Z ")) == true
    }

    /// The process that replays.
    func startupProcess() throws -> pid_t? {
        let postmaster = try Files.readText(path + "/postmaster.pid").split(separator: "\n")[0]
        let children = try run("/bin/cat", ["/proc/\(postmaster)/task/\(postmaster)/children"]).output
        return try children.split(separator: " ").first { child in
            try run("/bin/cat", ["/proc/\(child)/cmdline"]).output.contains("startup")
        }.flatMap { pid_t($0.filter(\.isNumber)) }
    }
}

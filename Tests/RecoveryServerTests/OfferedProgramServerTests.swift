import Glibc
import Platform
import Support
import Testing

/// The commands of PostgreSQL's programs that `recover` prints work as they are, for whoever got them.
@Suite(.serialized) struct OfferedProgramServerTests {
    private static let site = TestSite.shared {
        let site = try TestSite(initdb: ["--wal-segsize=1"])
        try site.cluster.psql("create table t as select generate_series(1, 1000) n")
        try site.tidemark(["backup"], expectSuccess: true)
        try site.archiveEverything()
        return site
    }

    enum Caller: String, CaseIterable, Sendable {
        case owner, root

        /// Runs a program as this user, with nothing on PATH but the system's directories.
        func run(_ program: String, _ arguments: [String]) throws -> Finished {
            let clean = ["-i", "-C", "/", "PATH=/usr/sbin:/usr/bin:/sbin:/bin", program] + arguments
            return self == .root
                ? try Platform.run("/usr/bin/env", clean)
                : try runAsServerUser("/usr/bin/env", clean, expectSuccess: false)
        }
    }

    @Test(arguments: Caller.allCases, ["recovered", "re covered 'here'"])
    func `what is offered to start and reach a server works when it is copied`(_ caller: Caller, _ name: String) throws
    {
        try #require(geteuid() == 0, "only root can be root and another user")
        let site = try Self.site.get()
        let scratch = try Scratch()
        let data = scratch.file(name)
        defer {
            _ = try? runAsServerUser(
                site.cluster.server.bin + "/pg_ctl", ["-D", data, "-m", "immediate", "-w", "stop"],
                expectSuccess: false)
        }
        func recover(_ options: [String]) throws -> Finished {
            let done = try caller.run(
                Executables.tidemark(),
                [
                    "recover", "--target", "immediate", "--data-directory", data, "--yes", "--keep-old", "--config",
                    site.configuration,
                ] + options)
            try #require(done.ending == .exited(0), "\(done)")
            return done
        }
        func offered(_ label: String, _ finished: Finished) throws -> String {
            let line = try #require(
                finished.output.split(separator: "\n").first { $0.contains(label) }, "\(label): \(finished)")
            return String(line[line.firstRange(of: label)!.upperBound...])
        }
        func stop() throws {
            try runAsServerUser(site.cluster.server.bin + "/pg_ctl", ["-D", data, "-m", "fast", "-w", "-s", "stop"])
        }
        // The server inherits the pipe, and would keep it open.
        func start(_ command: String) throws {
            let log = scratch.file("started")
            let started = try caller.run("/bin/sh", ["-c", "\(command) </dev/null >'\(log)' 2>&1"])
            #expect(started.ending == .exited(0), "\(command): \((try? Files.readText(log)) ?? "")")
        }

        let promoted = try recover(["--start"])
        let connect = try offered("Connect with: ", promoted)
        let answer = try caller.run("/bin/sh", ["-c", "\(connect) -XAtqc 'select count(*) from t'"])
        #expect(answer.output == "1000\n", "\(connect): \(answer)")
        try stop()
        chmod(scratch.path, 0o777)

        try start(offered("recover to the target: ", recover([])))
        #expect(try caller.run("/bin/sh", ["-c", "\(connect) -XAtqc 'select count(*) from t'"]).output == "1000\n")
        try stop()
        try start(offered("accept writes: ", recover(["--start", "--target-action", "shutdown"])))
        #expect(try caller.run("/bin/sh", ["-c", "\(connect) -XAtqc 'select count(*) from t'"]).output == "1000\n")
        try stop()
    }
}

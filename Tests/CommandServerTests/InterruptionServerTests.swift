import FoundationEssentials
import Glibc
import Platform
import Support
import Testing

/// A command, and the point at which it is held when the signal comes.
private struct Moment: Sendable, CustomTestStringConvertible {
    let command: [String]
    let gate: String
    var testDescription: String { "\(command[0]), held at \(gate)" }

    init(_ gate: String, _ command: String...) { (self.gate, self.command) = (gate, command) }

    static let all = [
        Moment("open:/pack/*/.000001.", "backup", "--no-expire", "--jobs", "2"),
        Moment("open:.backup.json.", "backup", "--no-expire"),
        Moment("open:/pack/", "verify"),
        Moment("open:.zst", "verify", "--wal"),
        Moment("unlink:backup.json", "expire", "--keep-full", "1"),
        Moment("makeDirectory:.tmp/", "import", "SEGMENTS"),
        Moment("open:.page.html.", "report", "--html", "OUTPUT/page.html"),
        Moment("open:/backup/", "catalog", "rebuild"),
        Moment("write:20", "recover", "--target", "latest", "--data-directory", "OUTPUT/copy", "--yes"),
        Moment("open:.recovery.signal.", "recover", "--target", "latest", "--data-directory", "OUTPUT/copy", "--yes"),
        Moment("makeDirectory:/scratch/tidemark-drill", "drill"),
        Moment("open:/scratch/*/data/PG_VERSION", "drill"),
        Moment("open:/scratch/*postmaster.pid", "drill"),
        Moment("wait:pg_amcheck", "drill"),
        Moment("unlink:/scratch/*/pg_hba.conf", "drill"),
        Moment("open:/tidemark-scratch", table),
        Moment("write:30", table),
        Moment("open:/scratch/*postmaster.pid", table),
        Moment("wait:pg_dump", table),
        Moment("wait:pg_restore", table),
        Moment("removeDirectory:/scratch/*/base", table),
        Moment("wait:pg_dump", file),
        Moment("rename:/t.sql", file),
    ]
    static let table = ["recover-table", "-t", "postgres.public.t", "--target", "latest", "--into-table"]
    static let file = ["recover-table", "-t", "postgres.public.t", "--target", "latest", "--to-file", "OUTPUT/t.sql"]

    init(_ gate: String, _ command: [String]) { (self.gate, self.command) = (gate, command) }
}

private struct Signal: RawRepresentable, Sendable, Equatable {
    let rawValue: String
    static let interrupt = Signal(rawValue: "INT")
    static let terminate = Signal(rawValue: "TERM")
    static let hangUp = Signal(rawValue: "HUP")
    static let kill = Signal(rawValue: "KILL")
    static let usual = [interrupt, terminate, hangUp, kill]
    /// The others that end a process which doesn't wait for them.
    static let others = [
        "QUIT", "ALRM", "USR1", "USR2", "XCPU", "VTALRM", "PROF", "IO", "PWR", "STKFLT", "RTMIN", "RTMAX",
    ].map(Signal.init)
}

/// INT, TERM, HUP and KILL, at every place: nothing continues, and nothing stays that `clean` doesn't know.
@Suite(.serialized) struct InterruptionServerTests {
    private static let isSoak = getenv("TIDEMARK_SOAK") != nil

    /// A site whose commands are distinguished from the archiver's by their configuration.
    private static let site = TestSite.shared {
        let site = try TestSite(settings: ["max_wal_size": "64MB"], initdb: ["--wal-segsize=1"])
        try site.cluster.psql("create table t as select n, repeat(md5(n::text), 10) from generate_series(1, 5000) n")
        try site.tidemark(["backup"], expectSuccess: true)
        try site.cluster.psql("insert into t select n, 'later' from generate_series(1, 5000) n")
        try site.archiveEverything()
        try runAsServerUser("/bin/cp", [site.configuration, site.scratch.file("commands.conf")])
        let segments = "mkdir \"$0\" && cd \"$0\" && for f in $(find \"$1\" -name '0*.zst' | head -3); do cp $f .; done"
        try runAsServerUser("/bin/bash", ["-c", segments, site.scratch.file("segments"), site.repository])
        return site
    }

    /// The command, held at the gate and interrupted there; nil when it never reached it.
    private func interrupted(_ site: TestSite, _ moment: Moment, _ signal: Signal) throws -> Finished? {
        let output = site.scratch.file("output")
        try runAsServerUser("/bin/bash", ["-c", "rm -rf \"$0\" && mkdir \"$0\"", output])
        let words = moment.command.map {
            $0.replacing("OUTPUT", with: output).replacing("SEGMENTS", with: site.scratch.file("segments"))
        }
        let gate = try Gate(at: moment.gate)
        let program = try Executables.directory.get() + "/tidemark-main"
        let finished = try gate.run(
            "/usr/bin/env",
            ["--default-signal", program] + words + ["--config", site.scratch.file("commands.conf")],
            meanwhile: """
                kill -\(signal.rawValue) $process
                while kill -0 $process 2>/dev/null; do sleep 0.02; done
                """)
        return gate.isReached ? finished : nil
    }

    /// The command's processes that are still running, and its leftovers.
    private func remains(_ site: TestSite) throws -> [String] {
        let running = try run("/usr/bin/pgrep", ["-fa", "\(site.scratch.path)/(commands.conf|state/scratch)"]).output
        let left = try run(
            "/usr/bin/find",
            [site.scratch.path, "-name", ".*.tmp", "-o", "-path", "*/scratch/*", "-o", "-name", "import*"]
        ).output
        return (running + left).split(separator: "\n").map(String.init)
    }

    private func check(_ site: TestSite, _ moment: Moment, _ signal: Signal) throws -> Bool {
        guard let finished = try interrupted(site, moment, signal) else { return false }
        let said = "\(moment), \(signal): \(finished.ending) \(finished.errors)"
        // Its pushes have temporaries, too.
        try site.cluster.waitForArchiver()
        #expect(finished.ending == .exited(signal == .kill ? 137 : 130), "\(said)")
        if signal == .kill {
            try wait(for: "what the command has started to be found: \(said)") {
                try site.tidemark(["clean"], expectSuccess: true)
                return try remains(site).isEmpty
            }
        } else {
            #expect(finished.errors.contains("interrupted"), "\(said)")
            #expect(finished.errors.split(separator: "\n").count { $0.contains("ERROR: ") } == 1, "\(said)")
            #expect(!finished.errors.contains("trying again") && !finished.errors.contains("could not"), "\(said)")
        }
        #expect(try remains(site) == [], "\(said)")
        return true
    }

    @Test func `a signal that the parent ignored and blocked doesn't hold up a command`() throws {
        let script = """
            $SIG{HUP} = "IGNORE"; sigprocmask(SIG_BLOCK, POSIX::SigSet->new(SIGHUP)); kill "HUP", $$; exec @ARGV
            """
        let finished = try runAsServerUser(
            "/usr/bin/timeout",
            ["-k", "1", "60", "/usr/bin/perl", "-MPOSIX", "-e", script, Executables.directory.get() + "/tidemark-main"]
                + ["list"], environment: ["TIDEMARK_CONFIG": Self.site.get().configuration], expectSuccess: false)
        #expect(finished.ending == .exited(0), "\(finished)")
    }

    @Test func `nothing continues, and nothing stays`() throws {
        let site = try Self.site.get()
        for (index, moment) in Moment.all.enumerated() {
            let signals = Self.isSoak ? Signal.usual : [Signal.usual[index % 4]]
            for signal in signals {
                if moment.command[0] == "expire" { try site.tidemark(["backup", "--no-expire"], expectSuccess: true) }
                #expect(try check(site, moment, signal), "\(moment) was never there")
            }
        }
        try endsWell(site)
    }

    @Test func `no other signal ends a command in its middle`() throws {
        let site = try Self.site.get()
        let moments = [
            Moment("open:/scratch/*postmaster.pid", "drill"), Moment("write:30", Moment.table),
            Moment("open:/pack/*/.000001.", "backup", "--no-expire"),
        ]
        for (index, signal) in Signal.others.enumerated() {
            #expect(try check(site, moments[index % moments.count], signal), "\(signal.rawValue)")
        }
        try endsWell(site)
    }

    private struct Row: Decodable {
        let job: String
        let result: String
        let message: String?
    }

    @Test func `permanent results of an interrupted command are in the history, once`() throws {
        let site = try Self.site.get()
        func rows() throws -> [Row] {
            let text = try site.tidemark(
                ["history", "--json", "--days", "0", "--job", "recover-table"], expectSuccess: true
            ).output
            return try JSONDecoder().decode([Row].self, from: Data(text.utf8))
        }
        let before = try rows().count
        // Before the tables are created there is nothing to report; afterwards there is.
        #expect(try check(site, Moment("wait:pg_dump", Moment.table), .terminate))
        #expect(try rows().count == before)
        #expect(try check(site, Moment("removeDirectory:/scratch/*/base", Moment.table), .terminate))
        let after = try rows()
        #expect(after.count == before + 1)
        #expect(after.last?.result == "success")
        #expect(after.last?.message?.hasPrefix("interrupted. ") == true, "\(after)")
    }

    /// At a random call.
    @Test func `at random moments`() throws {
        let site = try Self.site.get()
        let seed = Self.isSoak ? UInt64(Clock.now) : 7
        var generator = SeededGenerator(seed: seed)
        let commands = [["drill"], Moment.table, Moment.file, ["backup", "--no-expire"], ["verify"]]
        var caught = 0
        for round in 0..<(Self.isSoak ? 300 : 10) {
            let moment = Moment(
                "any:\(Int.random(in: 2...1200, using: &generator))", commands[round % commands.count])
            if try check(site, moment, Signal.usual.randomElement(using: &generator)!) { caught += 1 }
        }
        #expect(caught > 0, "seed \(seed)")
        try endsWell(site)
    }

    /// No interruption is a failed job, and every command still works.
    private func endsWell(_ site: TestSite) throws {
        let failed = try site.tidemark(["history", "--failed"], expectSuccess: true).output
        #expect(failed.hasPrefix("No jobs"), "\(failed)")
        for command in [["backup"], ["verify"], ["drill"]] { try site.tidemark(command, expectSuccess: true) }
        try site.cluster.waitForArchiver()
        #expect(try remains(site) == [])
    }

    @Test func `permanent results are reported`() throws {
        let site = try Self.site.get()
        let table = try #require(
            try interrupted(site, Moment("removeDirectory:/scratch/*/base", Moment.table), .interrupt))
        #expect(table.errors.contains("DETAIL:  These tables were made: \"public.t_"), "\(table.errors)")
        #expect(try site.cluster.psql("select count(*) > 0 from pg_class where relname like 't\\_2%'") == "t")
        let backup = try #require(
            try interrupted(site, Moment("unlink:backup.json", "backup", "--keep-full", "1"), .terminate))
        let label = try #require(site.backupLabels().max())
        #expect(backup.errors.contains("DETAIL:  Backup \(label) is complete."), "\(backup.errors)")
        #expect(!backup.errors.contains("--resume"), "\(backup.errors)")
    }
}

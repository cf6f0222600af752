import FoundationEssentials
import Glibc
import Platform
import Support
import Testing

/// Output and decisions of the commands for backups, as a user runs them.
@Suite(.serialized) struct BackupLookTests {
    /// The text of one backup's description, and of lists of them.
    private struct Row: Decodable {
        let label, type, start, stop: String
        let size, storedSize: Int64
        let recoverableUntil, note, pinnedUntil, verified: String?
        let pinned: Bool
        let verifyProblems: Int?
        let corruptPages: Int
    }

    private struct Taken: Decodable {
        struct Timings: Decodable { let copy, bytes: Double }
        let label: String
        struct Packs: Decodable { let label: String }
        let packs: [Packs]
        let storedSize: Int64
        let timings: Timings
    }

    private struct Expiry: Decodable {
        struct Verdict: Decodable {
            let label: String
            let kept: Bool
            let reasons: [String]
        }
        let backups: [Verdict]
        let dryRun: Bool
        let incarnation: String
        let remains, failures: [String]
        let segments, freed: Int64
        let former: [Expiry]
    }

    private func read<Value: Decodable>(_ type: Value.Type, _ finished: Finished) throws -> Value {
        let decoder = JSONDecoder()
        decoder.keyDecodingStrategy = .convertFromSnakeCase
        return try decoder.decode(type, from: Data(finished.output.utf8))
    }

    private func rows(_ site: TestSite, status: Int32 = 0) throws -> [Row] {
        let listed = try site.tidemark(["list", "--json"])
        try #require(listed.ending == .exited(status), "\(listed)")
        return try read([Row].self, listed)
    }

    @Test func `list, show and du say what there is`() throws {
        let site = try TestSite(initdb: ["--wal-segsize=1"])
        try site.cluster.psql(
            "CREATE SCHEMA shop; CREATE TABLE shop.orders AS SELECT i, md5(i::text) FROM generate_series(1, 20000) i")
        try site.tidemark(["backup", "--note", "before the 4.2 migration"], expectSuccess: true)
        let first = try #require(try rows(site).first)
        #expect(first.note == "before the 4.2 migration" && !first.pinned && first.verified == nil)
        #expect(first.start < first.stop && first.storedSize < first.size)
        // Later transactions make it recoverable to a later moment.
        let until = try #require(first.recoverableUntil)
        try site.cluster.psql("INSERT INTO shop.orders VALUES (0, 'later')")
        try site.archiveEverything()
        let later = try #require(try rows(site).first?.recoverableUntil)
        #expect(first.stop <= until && until < later)
        let table = try site.tidemark(["list"], expectSuccess: true).output
        #expect(table.contains("recoverable until") && table.contains(later.prefix(10)))
        // Without a state directory the catalog is made for this list.
        let bare = try site.tidemark(["list", "--state-directory", "/proc/none"], expectSuccess: true)
        #expect(bare.output == table, "\(bare)")

        let shown = try site.tidemark(["show", first.label], expectSuccess: true).output
        for fact in ["before the 4.2 migration", "primary", "postgres.shop.orders", "template1", "files"] {
            #expect(shown.contains(fact), "\(fact): \(shown)")
        }
        let json = try site.tidemark(["show", first.label, "--tables", "1", "--json"], expectSuccess: true).output
        #expect(json.contains("\"name\" : \"postgres\"") && json.contains("\"stored_size\" : \(first.storedSize)"))
        #expect(!json.contains("\"note\" : null"))
        let unknown = try site.tidemark(["show", "20200101T000000Z-full"])
        #expect(unknown.ending == .exited(1) && unknown.errors.contains("has no complete backup"))

        let none = try site.tidemark(["plan", "--target-name", "release"])
        #expect(none.ending == .exited(4), "\(none.errors)")
        #expect(none.errors.contains("There is none since the oldest backup began."), "\(none.errors)")
        let hint = "HINT:  \"tidemark window --config \(site.configuration)\" shows what can be reached"
        #expect(none.errors.contains(hint), "\(none.errors)")

        try site.tidemark(["backup"], expectSuccess: true)
        let du = try site.tidemark(["du"], expectSuccess: true).output
        for fact in ["backup \(first.label)", "WAL of ", "all backups", "all WAL", " free"] {
            #expect(du.contains(fact), "\(fact): \(du)")
        }
        #expect(!du.contains("would free"))
        let freed = try site.tidemark(["du", "--keep-full", "1"], expectSuccess: true).output
        #expect(freed.contains("\"tidemark expire --config \(site.configuration)\" would free"), "\(freed)")
    }

    @Test func `pins and rules on the command line decide what expires, and settings shows them`() throws {
        let site = try TestSite(initdb: ["--wal-segsize=1"])
        for flags in [["--pin"], ["--pin-until", "2099-01-31"], [], []] {
            try site.tidemark(["backup", "--no-expire"] + flags, expectSuccess: true)
        }
        let before = try rows(site)
        #expect(before.map(\.pinned) == [true, true, false, false])
        #expect(before[1].pinnedUntil == "2099-01-31T23:59:59Z")
        let listed = try site.tidemark(["list"], expectSuccess: true).output
        #expect(listed.contains("pinned until 2099-01-31"))
        let settings = try site.tidemark(["settings", "--keep-full", "1"], expectSuccess: true).output
        #expect(settings.contains("| keep_full ") && settings.contains("| week_starts "))
        let line = try #require(settings.split(separator: "\n").first { $0.contains("keep_full") })
        #expect(line.contains("command line"))
        let nothing = try read(Expiry.self, try site.tidemark(["expire", "--json"], expectSuccess: true))
        #expect(nothing.backups.map(\.kept) == [true, true, true, true])
        let expiry = try read(
            Expiry.self, try site.tidemark(["expire", "--keep-full", "1", "--json"], expectSuccess: true))
        #expect(expiry.backups.map(\.kept) == [true, true, false, true])
        #expect(expiry.backups[0].reasons == ["pinned"])
        #expect(expiry.backups[1].reasons[0].hasPrefix("pinned until 2099-01-31"))
        #expect(try rows(site).map(\.label) == [before[0], before[1], before[3]].map(\.label))
        // 0 turns a rule off; it isn't one that keeps nothing.
        for rule in ["full", "daily", "weekly", "monthly", "days"].map({ "--keep-\($0)" }) + ["--recovery-window"] {
            let off = try read(
                Expiry.self, try site.tidemark(["expire", rule, "0", "--json", "--dry-run"], expectSuccess: true))
            #expect(off.backups.map(\.kept) == [true, true, true], "\(rule)")
        }
        let wrong = try site.tidemark(["expire", "--keep-full", "none"])
        #expect(wrong.ending == .exited(2) && wrong.errors.contains("keep_full must be a whole number"))
        let date = try site.tidemark(["backup", "--pin-until", "2026-02-30"])
        #expect(date.ending == .exited(2) && date.errors.contains("--pin-until takes a date"))
    }

    @Test func `a throttled backup keeps to its rate, at the lowest priority`() throws {
        let site = try TestSite()
        // The priorities of all threads of the process, read in the middle of the copy.
        let script = """
            for task in /proc/$process/task/*; do
                echo "$(ps -L -o ni= -q $process | sort -u | tr -d ' \\n') $(ionice -p ${task##*/})" >&2
            done
            """
        let finished = try Gate(at: "read:/base/").run(
            Executables.directory.get() + "/tidemark-main",
            ["backup", "--idle", "--jobs", "2", "--rate-limit", "10MB", "--json"],
            environment: ["TIDEMARK_CONFIG": site.configuration], meanwhile: script)
        #expect(finished.ending == .exited(0), "\(finished.errors)")
        let tasks = finished.errors.split(separator: "\n").filter { $0.hasSuffix("idle") || $0.contains("prio") }
        #expect(tasks.count >= 2 && tasks.allSatisfy { $0 == "19 idle" }, "\(finished.errors)")
        let taken = try read(Taken.self, finished)
        #expect(taken.timings.copy > taken.timings.bytes / Double(10 << 20) * 0.8, "\(taken)")
        // Each thread fills packs of its own.
        let packs = try run("/usr/bin/find", [site.repository, "-path", "*/pack/\(taken.label)/00*"]).output
        #expect(packs.split(separator: "\n").count >= 2, "\(packs)")
    }

    @Test func `a throttled verification keeps to its rate`() throws {
        let site = try TestSite()
        let taken = try read(Taken.self, try site.tidemark(["backup", "--json"], expectSuccess: true))
        let packs = try run("/usr/bin/du", ["-sb", "\(site.repository)/main"]).output
        let stored = try #require(Double(packs.prefix { $0.isNumber }))
        for part in [["--backups"], [taken.label]] {
            let start = Clock.monotonic
            try site.tidemark(["verify", "--rate-limit", "2MB"] + part, expectSuccess: true)
            let seconds = Double(Clock.monotonic - start) / 1e9
            #expect(seconds > stored / Double(2 << 20) * 0.5, "\(part): \(seconds) s for \(stored) bytes")
        }
    }

    @Test func `progress shows bytes, rate and time left on a terminal, and little of it in a log`() throws {
        let site = try TestSite()
        let environment = ["TIDEMARK_CONFIG": site.configuration, "SHELL": "/bin/sh"]
        let program = try Executables.tidemark()
        let shown = try runAsServerUser(
            "/usr/bin/script", ["-qec", "\(program) backup --rate-limit 15MB", "/dev/null"], environment: environment)
        let line = /copying: \d+ % of \d+ MB, \d+ [kM]B\/s, \d+ s left/
        #expect(shown.output.contains(line), "\(shown.output)")
        // A line every ten seconds; none when it is faster.
        let isSoak = getenv("TIDEMARK_SOAK") != nil
        let began = Clock.monotonic
        let logged = try site.tidemark(["backup", "--rate-limit", isSoak ? "1MB" : "100MB"], expectSuccess: true).errors
        let most = Int((Clock.monotonic - began) / 10_000_000_000)
        let lines = logged.split(separator: "\n").filter { $0.contains("copying: ") }
        #expect(lines.count <= most, "\(logged)")
        #expect(!isSoak || lines.count >= 1 && lines.allSatisfy { $0.contains(line) }, "\(logged)")
        #expect(!logged.contains("\r"))
    }

    @Test func `a successful backup expires what the rules don't keep, unless --no-expire is given`() throws {
        let site = try TestSite(initdb: ["--wal-segsize=1"])
        let text = try Files.readText(site.configuration) + "[retention]\nkeep_full = 1\n"
        try replaceDurably(site.configuration, bytes: Array(text.utf8), mode: 0o644)
        try site.tidemark(["backup"], expectSuccess: true)
        try site.tidemark(["backup", "--no-expire"], expectSuccess: true)
        let both = try rows(site)
        #expect(both.count == 2)
        // Old ones are removed only after a new one is complete.
        let failed = try site.tidemark(["backup"], environment: ["TIDEMARK_FAULT": "open:.backup.json.=EIO"])
        #expect(failed.ending == .exited(1) && !failed.errors.contains("no rule keeps it"), "\(failed.errors)")
        #expect(try rows(site).map(\.label) == both.map(\.label))
        let third = try site.tidemark(["backup"], expectSuccess: true)
        #expect(third.errors.contains("no rule keeps it any longer"), "\(third.errors)")
        let left = try rows(site)
        #expect(left.count == 1 && !both.map(\.label).contains(left[0].label))
    }

    @Test func `resume uses the frames of a dead backup`() throws {
        let site = try TestSite()
        try site.cluster.psql("CREATE TABLE t AS SELECT i, md5(i::text) FROM generate_series(1, 50000) i; CHECKPOINT")
        let first = try read(Taken.self, try site.tidemark(["backup", "--json"], expectSuccess: true))
        // As if it had died before its manifest.
        let incarnation = try Files.list(site.repository + "/main")[0]
        try Files.removeTree("\(site.repository)/main/\(incarnation)/backup/\(first.label)")
        let second = try read(Taken.self, try site.tidemark(["backup", "--resume", "--json"], expectSuccess: true))
        #expect(second.packs.map(\.label) == [second.label, first.label])
        #expect(second.storedSize < first.storedSize / 3)
        #expect(try site.tidemark(["verify"], expectSuccess: true).output.contains(": good;"))
    }

    @Test func `corrupt pages end in status 3 and an alert, damage in the repository in status 3 of verify`() throws {
        let site = try TestSite(initdb: ["--data-checksums"])
        let told = site.scratch.file("told")
        let text = try Files.readText(site.configuration) + "[notify]\ncommand = 'cat >> \(told)'\n"
        try replaceDurably(site.configuration, bytes: Array(text.utf8), mode: 0o644)
        try site.cluster.psql("CREATE TABLE t AS SELECT i, repeat('x', 500) AS x FROM generate_series(1, 500) i")
        let path = try site.cluster.psql("SELECT pg_relation_filepath('t')")
        try site.cluster.stop()
        try overwrite(site.cluster.data + "/" + path, at: 7 * 8192 + 5000)
        try site.cluster.start()
        let backup = try site.tidemark(["backup"])
        #expect(backup.ending == .exited(3), "\(backup.errors)")
        #expect(backup.errors.contains("block 7 of postgres.public.t in file \"\(path)\" has a wrong checksum"))
        #expect(backup.output.contains("It can be recovered to any moment from "))
        #expect(try site.tidemark(["list"], expectSuccess: true).output.contains("1 corrupt page\n"))
        #expect(try rows(site).map(\.corruptPages) == [1])
        try site.cluster.wait(for: "the alert") { try Files.exists(told) && Files.readText(told).contains("\n") }
        let alert = try Files.readText(told)
        #expect(alert.contains("\"backup") && alert.contains("problems"), "\(alert)")

        #expect(try site.tidemark(["verify"]).ending == .exited(0))
        let incarnation = try Files.list(site.repository + "/main")[0]
        let label = try rows(site)[0].label
        try overwrite("\(site.repository)/main/\(incarnation)/pack/\(label)/000001", at: 5000)
        let verified = try site.tidemark(["verify"])
        #expect(verified.ending == .exited(3) && verified.errors.contains("is damaged"), "\(verified.errors)")
        #expect(verified.output.contains("problem"))
        let problems = try rows(site, status: 3)[0].verifyProblems
        #expect(problems ?? 0 > 0)
        let listed = try site.tidemark(["list"])
        #expect(listed.ending == .exited(3) && listed.output.contains("problem"), "\(listed)")
    }

    @Test func `recover with delta brings a changed copy back, and no other directory`() throws {
        let site = try TestSite(initdb: ["--wal-segsize=1"])
        try site.cluster.psql("CREATE TABLE t AS SELECT i, md5(i::text) FROM generate_series(1, 20000) i")
        try site.tidemark(["backup"], expectSuccess: true)
        try site.cluster.psql("INSERT INTO t VALUES (0, 'later')")
        try site.archiveEverything()
        let target = site.scratch.file("copy")
        let recover = ["recover", "--target", "latest", "--data-directory", target, "--start", "--yes", "--delta"]
        let pgctl = site.cluster.server.bin + "/pg_ctl"
        defer { _ = try? runAsServerUser(pgctl, ["-D", target, "-m", "immediate", "stop"], expectSuccess: false) }
        func count() throws -> String {
            try runAsServerUser(
                site.cluster.server.bin + "/psql",
                ["-h", target, "-U", "postgres", "-d", "postgres", "-XAtqc", "SELECT count(*) FROM t"]
            ).output
        }
        try site.tidemark(recover, expectSuccess: true)
        #expect(try count() == "20001\n")
        let running = try site.tidemark(recover)
        #expect(running.ending == .exited(1) && running.errors.contains("A server is running on it"))
        // The copy changes; then it is brought back.
        try runAsServerUser(
            site.cluster.server.bin + "/psql", ["-h", target, "-U", "postgres", "-d", "postgres", "-qc", "TRUNCATE t"])
        try runAsServerUser(pgctl, ["-D", target, "-m", "fast", "-w", "stop"])
        try site.tidemark(recover, expectSuccess: true)
        #expect(try count() == "20001\n")
        let other = try TestCluster(start: false)
        let refused = try site.tidemark(recover.map { $0 == target ? other.data : $0 })
        #expect(refused.ending == .exited(1))
        #expect(refused.errors.contains("It contains something other than this cluster"), "\(refused.errors)")
    }

    @Test func `after recover the files belong to the server's user, even if root ran it`() throws {
        let site = try TestSite(initdb: ["--wal-segsize=1"])
        let space = site.cluster.directory + "/space"
        try runAsServerUser("/bin/mkdir", [space])
        try site.cluster.psql("CREATE TABLESPACE space LOCATION '\(space)'")
        try site.cluster.psql("CREATE TABLE t TABLESPACE space AS SELECT generate_series(1, 1000) i")
        try site.tidemark(["backup"], expectSuccess: true)
        try site.archiveEverything()
        let target = site.scratch.file("recovered")
        let arguments = [
            "recover", "--config", site.configuration, "--target", "latest", "--data-directory", target,
            "--tablespace-mapping", "\(space)=\(target)-space", "--yes",
        ]
        let closed = try Scratch()
        chmod(closed.path, 0o555)
        let refused = try run(Executables.tidemark(), arguments.map { $0 == target ? closed.file("new") : $0 })
        #expect(refused.ending == .exited(1))
        #expect(refused.errors.contains("may not write in \"\(closed.path)\""), "\(refused.errors)")
        #expect(refused.errors.contains("-m 700 \(closed.file("new"))"), "\(refused.errors)")
        // Not as the server's user, unless the tests run as that.
        let finished = try run(Executables.tidemark(), arguments)
        #expect(finished.ending == .exited(0), "\(finished.errors)")
        let owner = try FileStatus(of: site.cluster.data)
        let strangers = try run(
            "/usr/bin/find",
            ["-L", target, site.repository, "!", "(", "-uid", "\(owner.owner)", "-gid", "\(owner.group)", ")"])
        #expect(strangers.ending == .exited(0) && strangers.output == "", "\(strangers)")
        let modes = try run("/usr/bin/find", ["-L", target, "-perm", "/077"])
        #expect(modes.output == "")
        let pgctl = site.cluster.server.bin + "/pg_ctl"
        try runAsServerUser(pgctl, ["-D", target, "-l", target + "/log", "-w", "start"])
        try runAsServerUser(pgctl, ["-D", target, "-m", "immediate", "-w", "stop"])
    }

    private func overwrite(_ path: String, at offset: Int64) throws {
        let file = try Descriptor(open: path, 2)
        try [UInt8](repeating: 0xA5, count: 4).withUnsafeBytes { try file.write($0, at: offset, path: path) }
    }
}

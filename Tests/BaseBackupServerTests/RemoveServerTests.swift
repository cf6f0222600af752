import Glibc
import Platform
import Support
import Testing

/// Backups that are lost, changed or named for removal, and what `expire` and `remove` do.
@Suite struct RemoveServerTests {
    private func objects(_ site: TestSite, _ label: String) throws -> [String] {
        try run("/usr/bin/find", [site.repository, "-type", "f", "-path", "*/\(label)/*"]).output
            .split(separator: "\n").map(String.init)
    }

    private func file(_ site: TestSite, _ label: String, _ name: String) throws -> String {
        try #require(try objects(site, label).first { $0.hasSuffix("/\(label)/\(name)") })
    }

    @Test func `a named backup is removed, and nothing else is`() throws {
        let site = try TestSite(initdb: ["--wal-segsize=1"])
        for arguments in [[], ["--pin"], [], []] {
            try site.tidemark(["backup", "--no-expire"] + arguments, expectSuccess: true)
        }
        let labels = try site.backupLabels().sorted()
        try #require(labels.count == 4)

        let unasked = try site.tidemark(["remove", labels[0]])
        #expect(unasked.ending == .exited(1) && unasked.errors.contains("Add --yes"), "\(unasked)")
        let looked = try site.tidemark(["remove", labels[0], "--dry-run"], expectSuccess: true)
        #expect(looked.output.contains("would be removed"))
        #expect(try site.backupLabels().sorted() == labels)
        try site.tidemark(["remove", labels[0], "--yes", "--keep-full", "4"], expectSuccess: true)
        #expect(try objects(site, labels[0]) == [])
        #expect(try site.backupLabels().sorted() == Array(labels.dropFirst()))

        let pinned = try site.tidemark(["remove", labels[1], "--yes"])
        #expect(pinned.ending == .exited(1) && pinned.errors.contains("It is pinned."), "\(pinned)")
        try site.tidemark(["remove", labels[1], "--yes", "--force"], expectSuccess: true)
        let json = try site.tidemark(["remove", labels[2], "--yes", "--json"], expectSuccess: true)
        #expect(json.output.contains("\"label\" : \"\(labels[2])\""), "\(json.output)")

        let last = try site.tidemark(["remove", labels[3], "--yes"])
        #expect(last.ending == .exited(1) && last.errors.contains("No other good backup"), "\(last)")
        for label in [labels[0], "../\(labels[3])", "x/y", "."] {
            let absent = try site.tidemark(["remove", label, "--yes"])
            #expect(absent.ending == .exited(1) && absent.errors.contains("no complete backup"), "\(label) \(absent)")
        }
        try site.tidemark(["verify"], expectSuccess: true)
        try site.tidemark(["plan", "--target", "latest"], expectSuccess: true)
        try site.tidemark(["remove", labels[3], "--yes", "--force"], expectSuccess: true)
        #expect(try site.backupLabels() == [])
    }

    /// As `expire` does: a clock that is ahead abandons no timeline.
    @Test func `a clock that is ahead does not release the only backup of a living timeline`() throws {
        let site = try TestSite(initdb: ["--wal-segsize=1"])
        let clock = site.scratch.file("shifted-clock.so")
        let compiled = try run(
            "cc", ["-O2", "-shared", "-fPIC", "-o", clock, Files.parent(#filePath) + "/shifted-clock.c"])
        try #require(compiled.ending == .exited(0), "\(compiled.errors)")
        chmod(clock, 0o755)
        func backUp() throws -> String {
            let before = try site.backupLabels()
            try site.tidemark(["backup", "--no-expire"], expectSuccess: true)
            return try #require(site.backupLabels().subtracting(before).first)
        }
        try site.cluster.psql("create table t (i int)")
        try site.cluster.psql("insert into t values (1)")
        let first = try backUp()
        try site.cluster.psql("select pg_create_restore_point('r1')")
        try site.cluster.psql("insert into t values (2)")
        let only = try backUp()
        try site.cluster.psql("insert into t values (3)")
        try site.archiveEverything()
        try site.cluster.stop()
        try site.tidemark(["recover", "--target-name", "r1", "--start", "--yes"], expectSuccess: true)
        for _ in 1...2 { _ = try backUp() }
        try site.archiveEverything()
        try site.tidemark(["remove", first, "--yes"], expectSuccess: true)
        let month = "\(30 * 86_400)"
        for environment in [[:], ["LD_PRELOAD": clock, "CLOCK_AHEAD": month]] {
            // The other executable is linked statically.
            let refused = try runAsServerUser(
                Executables.directory.get() + "/tidemark-main",
                ["remove", only, "--yes", "--config", site.configuration], environment: environment,
                expectSuccess: false)
            #expect(
                refused.ending == .exited(1)
                    && refused.errors.contains("No other good backup is on the history of timeline 1."),
                "\(environment): \(refused)")
        }
    }

    @Test func `an unanswered question blocks nobody, and after the answer the state is checked again`()
        throws
    {
        let site = try TestSite(initdb: ["--wal-segsize=1"])
        for _ in 1...2 { try site.tidemark(["backup", "--no-expire"], expectSuccess: true) }
        let labels = try site.backupLabels().sorted()
        let locks = try run("/usr/bin/find", [site.repository, "-name", ".lock", "-delete", "-print"]).output
        #expect(!locks.isEmpty)
        try site.tidemark(["remove", labels[0], "--dry-run"], expectSuccess: true)
        #expect(try run("/usr/bin/find", [site.repository, "-name", ".lock"]).output == "")

        func answer(_ label: String, meanwhile command: String) throws -> String {
            let scratch = try Scratch()
            let script = """
                mkfifo $D/in; script -qec "$T remove $L" /dev/null <$D/in >$D/out 2>&1 & asked=$!
                exec 3>$D/in
                until grep -q 'Continue?' $D/out; do kill -0 $asked || exit 9; sleep 0.1; done
                $T \(command); echo "meanwhile: $?"
                echo y >&3; wait $asked; echo "removed: $?"; cat $D/out
                """
            return try runAsServerUser(
                "/bin/bash", ["-c", script],
                environment: [
                    "TIDEMARK_CONFIG": site.configuration, "D": scratch.path, "T": Executables.tidemark(), "L": label,
                ]
            ).output
        }
        let last = try answer(labels[1], meanwhile: "remove \(labels[0]) --yes")
        #expect(last.contains("meanwhile: 0") && last.contains("removed: 1"), "\(last)")
        #expect(last.contains("No other good backup is in the repository."), "\(last)")
        #expect(try site.backupLabels() == [labels[1]])
        try site.tidemark(["backup", "--no-expire"], expectSuccess: true)
        let removed = try answer(labels[1], meanwhile: "backup --no-expire")
        #expect(removed.contains("meanwhile: 0") && removed.contains("removed: 0"), "\(removed)")
        let left = try site.backupLabels()
        #expect(left.count == 2 && !left.contains(labels[1]), "\(left)")
    }

    /// Something that happens to one backup's `backup.json`.
    enum Loss: String, CaseIterable {
        case removed, emptied, changed, dangling, directory
    }

    @Test func `a backup whose backup.json is lost or changed is reported, and its packs stay until it is given up`()
        throws
    {
        let site = try TestSite(initdb: ["--wal-segsize=1"])
        for _ in 1...3 { try site.tidemark(["backup", "--no-expire"], expectSuccess: true) }
        // The oldest would be removed if all were intact.
        let labels = Array(try site.backupLabels().sorted().dropFirst())
        func everything() throws -> [String] {
            try run("/usr/bin/find", [site.repository, "-type", "f", "!", "-path", "*/job/*", "!", "-name", ".*"])
                .output
                .split(separator: "\n").map(String.init).sorted()
        }
        let path = try file(site, labels[0], "backup.json")
        let content = try Files.read(path)
        let packs = try objects(site, labels[0]).filter { $0.contains("/pack/") }
        try #require(!packs.isEmpty)
        for loss in Loss.allCases {
            try runAsServerUser("/bin/rm", [path])
            switch loss {
            case .removed: break
            case .emptied: try runAsServerUser("/usr/bin/touch", [path])
            case .changed:
                let text = String(decoding: content, as: UTF8.self)
                let changed = text.replacing("\"segment_size\" : 1048576", with: "\"segment_size\" : 2097152")
                try #require(changed != text)
                try createDurably(path, bytes: Array(changed.utf8), mode: 0o644)
            case .dangling: try runAsServerUser("/bin/ln", ["-s", "/nonexistent/tier", path])
            case .directory: try runAsServerUser("/bin/mkdir", [path])
            }
            let verified = try site.tidemark(["verify"])
            #expect(verified.ending == .exited(3) && verified.errors.contains(labels[0]), "\(loss): \(verified)")
            let listed = try site.tidemark(["list"])
            #expect(listed.errors.contains("cannot be used"), "\(loss): \(listed)")
            // A command that had read it before reports the same.
            for looked in [listed, try site.tidemark(["window"])] {
                #expect(looked.ending == .exited(3) && looked.errors.contains(labels[0]), "\(loss): \(looked)")
            }
            let planned = try site.tidemark(["plan", "--target", "latest"])
            #expect(planned.ending == .exited(0) && planned.output.contains(labels[1]), "\(loss): \(planned)")
            let before = try everything()
            let expired = try site.tidemark(["expire", "--keep-full", "1"])
            #expect(try everything() == before, "\(loss)")
            #expect(expired.ending == .exited(1), "\(loss): \(expired)")
            // The link's target may come back.
            let says = loss == .dangling ? "Make it readable" : "tidemark remove \(labels[0])"
            #expect(expired.errors.contains(says), "\(loss): \(expired.errors)")
            #expect(try objects(site, labels[0]).filter { $0.contains("/pack/") } == packs, "\(loss)")
            try runAsServerUser("/bin/rm", ["-rf", path])
            try createDurably(path, bytes: content, mode: 0o640)
            try runAsRoot("/bin/chown", ["postgres:", path])
            try site.tidemark(["verify"], expectSuccess: true)
        }
        // The step that the message offers.
        try runAsServerUser("/bin/rm", [path])
        try site.tidemark(["remove", labels[0], "--yes"], expectSuccess: true)
        #expect(try objects(site, labels[0]) == [])
        try site.tidemark(["expire", "--keep-full", "1"], expectSuccess: true)
        #expect(try site.backupLabels() == [labels[1]])
    }

    /// Orders of removing backups after a recovery to before the second, and why one is refused.
    private static let orders: [[(backup: Int, reason: String?)]] = {
        func history(_ timeline: Int) -> String { "No other good backup is on the history of timeline \(timeline)." }
        let last = "No other good backup is in the repository."
        return [
            [(0, nil), (2, history(2)), (1, history(1))], [(1, nil), (0, history(1)), (2, nil), (0, last)],
            [(2, nil), (0, history(2)), (1, nil), (0, last)],
        ]
    }()

    @Test(arguments: orders.indices)
    func `a backup that a branch of the WAL needs is not removed`(_ row: Int) throws {
        let site = try TestSite(initdb: ["--wal-segsize=1"])
        try site.cluster.psql("create table t (i int)")
        try site.tidemark(["backup", "--no-expire"], expectSuccess: true)
        try site.cluster.psql("insert into t values (1)")
        try site.cluster.psql("select pg_create_restore_point('there')")
        try site.archiveEverything()
        try site.tidemark(["backup", "--no-expire"], expectSuccess: true)
        try site.cluster.psql("insert into t values (2)")
        try site.archiveEverything()
        try site.cluster.stop()
        try site.tidemark(["recover", "--target-name", "there", "--start", "--yes"], expectSuccess: true)
        try site.cluster.psql("insert into t values (3)")
        try site.tidemark(["backup", "--no-expire"], expectSuccess: true)
        let labels = try site.backupLabels().sorted()
        try #require(labels.count == 3)
        for (backup, reason) in Self.orders[row] {
            let removed = try site.tidemark(["remove", labels[backup], "--yes"])
            #expect(removed.ending == .exited(reason == nil ? 0 : 1), "\(backup): \(removed)")
            if let reason { #expect(removed.errors.contains("DETAIL:  \(reason)\n"), "\(backup): \(removed)") }
            #expect(try site.backupLabels().contains(labels[backup]) == (reason != nil))
            // The cluster's own history can be recovered after each of them.
            try site.tidemark(["plan", "--target", "latest"], expectSuccess: true)
        }
        let refused = try #require(Self.orders[row].last { $0.reason != nil }).backup
        try site.tidemark(["remove", labels[refused], "--yes", "--force"], expectSuccess: true)
    }

    @Test func `a backup whose branch was put aside is no reason to remove the last good one`() throws {
        let site = try TestSite(initdb: ["--wal-segsize=1"])
        for _ in 1...2 { try site.tidemark(["backup", "--no-expire"], expectSuccess: true) }
        let labels = try site.backupLabels().sorted()
        let shown = try site.tidemark(["show", labels[1], "--json"], expectSuccess: true).output
        let segment = try #require(shown.firstMatch(of: /"first_wal" : "([0-9A-F]{24})"/)).1
        // No server is left that could tell whether it is needed.
        try site.cluster.stop()
        try runAsServerUser("/bin/mv", [site.cluster.data, site.cluster.data + ".gone"])
        try site.tidemark(
            ["segments", "put-aside", String(segment), "--following", "--certain", "--yes"], expectSuccess: true)
        let refused = try site.tidemark(["remove", labels[0], "--yes"])
        #expect(refused.ending == .exited(1) && refused.errors.contains("No other good backup"), "\(refused)")
        let aside = try site.tidemark(["remove", labels[1], "--yes"])
        #expect(aside.ending == .exited(0), "\(aside)")
        #expect(try site.backupLabels() == [labels[0]])
        try runAsServerUser("/bin/mv", [site.cluster.data + ".gone", site.cluster.data])
    }

    @Test func `no value in a backup.json without a seal ends a command with a signal`() throws {
        let site = try TestSite(initdb: ["--wal-segsize=1"])
        for _ in 1...2 { try site.tidemark(["backup", "--no-expire"], expectSuccess: true) }
        let label = try #require(try site.backupLabels().min())
        let path = try file(site, label, "backup.json")
        let text = try Files.readText(path)
        try runAsServerUser("/bin/rm", [path + ".xxh128"])
        let values = [
            ("segment_size", ["0", "7", "-1", "3000000000", "4294967296", "\"x\""]),
            ("size", ["-1", "9223372036854775807", "1e30"]),
            ("stored_size", ["-9223372036854775808"]), ("timeline", ["0", "4294967295"]),
            ("major", ["0", "-15", "2147483647"]),
            ("stop_lsn", ["\"0/0\"", "\"FFFFFFFF/FFFFFFFF\""]), ("start_lsn", ["\"FFFFFFFF/FFFFFFFF\""]),
            ("stop_time", ["\"9999-12-31T23:59:59Z\"", "\"0000-00-00T00:00:00Z\""]), ("file_count", ["-1"]),
        ]
        for (key, bad) in values {
            for value in bad {
                let line = try #require(text.split(separator: "\n").first { $0.hasPrefix("  \"\(key)\" : ") })
                let changed = text.replacing(line, with: "  \"\(key)\" : \(value),")
                try replaceDurably(path, bytes: resealed(changed), mode: 0o640)
                try runAsRoot("/bin/chown", ["postgres:", path])
                for command in [
                    ["verify"], ["plan", "--target", "latest"], ["plan", "--target", "immediate", "--backup", label],
                    ["expire", "--dry-run", "--keep-full", "1", "--recovery-window", "7d"], ["status"], ["list"],
                    ["window"],
                    ["du"], ["show", label],
                ] {
                    let finished = try site.tidemark(command)
                    guard case .exited(0...5) = finished.ending else {
                        Issue.record("\(key) = \(value), \(command): \(finished)")
                        continue
                    }
                }
            }
        }
    }

    private func runAsRoot(_ program: String, _ arguments: [String]) throws {
        if geteuid() == 0 { _ = try run(program, arguments) }
    }
}

import Glibc
import Planning
import Platform
import Support
import Testing
import WAL

/// Recoveries into the own directory of a cluster whose server has died.
@Suite(.serialized) struct InPlaceServerTests {
    /// A site with a backup, whose server dies with rows that only its last, unarchived segment holds.
    private func deadSite() throws -> (site: TestSite, rows: String) {
        let site = try TestSite(initdb: ["--wal-segsize=1"])
        try site.cluster.psql("create table t (n int)")
        try site.tidemark(["backup"], expectSuccess: true)
        try site.cluster.psql("insert into t select generate_series(1, 1000)")
        try site.archiveEverything()
        // These rows never reach the archive: the server is killed while it writes their segment.
        try site.cluster.psql("insert into t select generate_series(1001, 1010)")
        let rows = try site.cluster.psql("select count(*) from t")
        try site.cluster.stop(mode: "immediate")
        return (site, rows)
    }

    /// The dead server's WAL is read before anything else; a disk that fails for a moment must not cost commits.
    @Test func `a failure to read the dead server's WAL is not taken for its end`() throws {
        let (site, rows) = try deadSite()
        let inode = try FileStatus(of: site.cluster.data).inode
        let names = try Files.list(site.cluster.data + "/pg_wal").compactMap { SegmentName($0) }.sorted()
        let archived = try run("/usr/bin/find", [site.repository, "-name", "0000000100000000????????.zst"]).output
            .split(separator: "\n").map { String(Files.name(String($0)).dropLast(4)) }
        let newest = try #require(archived.compactMap { SegmentName($0) }.max())
        let last = try #require(names.first { $0 > newest })
        let recover = ["recover", "--target", "latest", "--start", "--yes"]
        func says(_ words: String, _ command: [String], _ fault: String) throws -> Bool {
            let finished = try site.tidemark(command, environment: ["TIDEMARK_FAULT": fault])
            #expect(finished.errors.contains("fault: "), "\(fault): \(finished)")
            return (finished.output + finished.errors).contains(words)
        }
        let plan = ["plan", "--target", "latest"]
        for fault in ["read:pg_wal/\(last)=EIO", "open:pg_wal/\(last)=EACCES"] {
            #expect(try says("\"\(last)\" in pg_wal", plan, fault))
            #expect(try says("cannot archive \"\(last).partial\"", recover, fault))
            #expect(try FileStatus(of: site.cluster.data).inode == inode, "\(fault)")
        }
        // Archived segments are opened to see whether the server's own can take their names, and to compare them with
        // it.
        let (blocked, unknown) = ("cannot archive \"", "cannot tell whether the archive has another server's WAL")
        var faults: [(fault: String, says: String)] = []
        for n in 1...40 {
            let fault = "open:/wal/00000001/*.zst#\(n)=EIO"
            let told = try site.tidemark(plan, environment: ["TIDEMARK_FAULT": fault]).errors
            guard told.contains("fault: ") else { break }
            if let words = [blocked, unknown].first(where: told.contains) { faults.append((fault, words)) }
        }
        #expect(Set(faults.map(\.says)) == [blocked, unknown], "\(faults)")
        for (fault, words) in faults {
            #expect(try says(words, recover, fault))
            #expect(try FileStatus(of: site.cluster.data).inode == inode, "\(fault)")
        }
        try site.tidemark(recover, expectSuccess: true)
        #expect(try site.cluster.psql("select count(*) from t") == rows)
    }

    @Test func `in place, the last unarchived WAL is rescued, the old directory kept, and nothing is lost`() throws {
        let (site, rows) = try deadSite()
        func content(_ directory: String) throws -> String {
            let script = "cd \"$1\" && find . -type f | sort | xargs md5sum"
            return try runAsServerUser("/bin/sh", ["-c", script, "sh", directory]).output
        }
        let before = try content(site.cluster.data)
        let finished = try site.tidemark(["recover", "--target", "latest", "--start", "--yes", "--json"])
        try #require(finished.ending == .exited(0), "\(finished.errors)")
        let answer = try RecoverAnswer(finished.output)
        #expect(answer.state == "promoted")
        #expect(answer.asPredicted == true)
        #expect(finished.errors.contains(".partial\" of the old directory"))
        #expect(try site.cluster.psql("select count(*) from t") == rows)
        // In the cluster's own directory the server continues to archive, on its new timeline, even if nobody writes.
        #expect(try site.cluster.psql("show archive_mode") == "on")
        try site.cluster.wait(for: "the new timeline's first segment") {
            try !run("/usr/bin/find", [site.repository, "-name", "00000002????????????????.zst"]).output.isEmpty
        }
        let kept = try Files.list(site.cluster.directory).filter { $0.hasPrefix("data.before-") }
        #expect(kept.count == 1)
        #expect(try content("\(site.cluster.directory)/\(kept[0])") == before)
        // The repository records who did it.
        let incarnation = try Files.list(site.repository + "/main")[0]
        let audit = "\(site.repository)/main/\(incarnation)/recovery"
        let records = try Files.list(audit)
        #expect(records.count == 1)
        #expect(try Files.readText("\(audit)/\(records[0])/begin.json").contains("\"user\" : \"postgres\""))
        #expect(try Files.readText("\(audit)/\(records[0])/end.json").contains("\"result\" : \"promoted\""))
        // On the old timeline, the server's last segment exists as .partial only: it counts when the option says so.
        let old = ["plan", "--target", "latest", "--target-timeline", "1"]
        let without = try site.tidemark(old)
        #expect(without.output.contains("exists as .partial only"), "\(without.output)")
        #expect(try site.tidemark(old + ["--use-partial"]).output.contains("takes about"))
        // And once more from the same backup, on the new timeline.
        try site.cluster.psql("insert into t values (0)")
        let total = try site.cluster.psql("select count(*) from t")
        try site.cluster.stop()
        let again = try site.tidemark(["recover", "--target", "latest", "--start", "--yes", "--json"])
        try #require(again.ending == .exited(0), "\(again.errors)")
        #expect(try RecoverAnswer(again.output).timeline == 3)
        #expect(try site.cluster.psql("select count(*) from t") == total)
    }

    @Test func `what delays a standby doesn't delay a recovery in place`() throws {
        let site = try TestSite(settings: ["recovery_min_apply_delay": "1h"], initdb: ["--wal-segsize=1"])
        try site.tidemark(["backup"], expectSuccess: true)
        try site.cluster.psql("create table t as select 1 n")
        try site.archiveEverything()
        try site.cluster.stop()
        try site.tidemark(["recover", "--target", "latest", "--start", "--yes"], expectSuccess: true)
        #expect(try site.cluster.psql("select n from t") == "1")
        try site.cluster.psql("select pg_reload_conf()")
        try site.cluster.wait(for: "the original's value") {
            try site.cluster.psql("show recovery_min_apply_delay") == "1h"
        }
        // A command of the user's own in a copy is told to deliver what leads out of the copy.
        let copy = [
            "recover", "--target", "latest", "--data-directory", site.scratch.file("copy"), "--dry-run", "--set",
        ]
        let said = "Tablespaces that the WAL creates are created at the same paths here"
        for (command, isTold) in [("cp /wal/%f %p", true), ("tidemark archive-get --confine-tablespaces %f %p", false)]
        {
            let plan = try site.tidemark(copy + ["restore_command=\(command)"], expectSuccess: true)
            #expect(plan.output.contains(said) == isTold, "\(command): \(plan.output)")
        }
    }

    @Test func `WAL that only the dead server's pg_wal has is never given up unasked`() throws {
        let (site, rows) = try deadSite()
        let data = site.cluster.data
        func fingerprint() throws -> String {
            try runAsServerUser(
                "/bin/sh",
                ["-c", "stat -c %i '\(data)'; cd '\(data)' && find . -type f | sort | xargs md5sum | md5sum"]
            ).output
        }
        let before = try fingerprint()
        let folders = try run("/usr/bin/find", [site.repository, "-path", "*/wal/*", "-type", "d"]).output
            .split(separator: "\n").map(String.init)
        func setMode(_ mode: String) throws { try runAsServerUser("/bin/chmod", [mode] + folders) }
        var offered = ""
        for options in [[], ["--delta"]] {
            try setMode("0550")
            let refused = try site.tidemark(["recover", "--target", "latest", "--start", "--yes"] + options)
            #expect(refused.ending == .exited(1) && refused.errors.contains("cannot archive"), "\(options) \(refused)")
            #expect(refused.errors.contains("Nothing was changed."), "\(options) \(refused)")
            #expect(try fingerprint() == before, "\(options)")
            let hint = try #require(refused.errors.firstMatch(of: /out of the way: (mv .+)/))
            offered = String(hint.output.1)
            try setMode("0750")
        }
        // Segments that the disk can't read, and a folder.
        let unknown = "cannot tell whether the archive has another server's WAL"
        for call in ["read:/pg_wal/00000001", "openDirectory:/pg_wal/archive_status"] {
            for command in [["plan"], ["recover", "--start", "--yes"], ["recover", "--start", "--yes", "--delta"]] {
                let refused = try site.tidemark(
                    command + ["--target", "latest"], environment: ["TIDEMARK_FAULT": "\(call)=EIO"])
                #expect(refused.ending == .exited(1) && refused.errors.contains(unknown), "\(command) \(refused)")
                #expect(refused.errors.contains("Input/output error"), "\(command) \(refused)")
                #expect(refused.errors.contains("out of the way: \(offered)"), "\(command) \(refused)")
                #expect(try fingerprint() == before, "\(command)")
            }
        }
        // A directory whose pg_control is damaged.
        let control = try Files.read("\(data)/global/pg_control")
        try runAsServerUser(
            "/bin/sh", ["-c", "printf x | dd of='\(data)/global/pg_control' conv=notrunc bs=1 seek=20 2>&1"])
        let blind = try site.tidemark(["recover", "--target", "latest", "--delta", "--start", "--yes"])
        #expect(blind.ending == .exited(1) && blind.errors.contains("Nothing was changed."), "\(blind)")
        try replaceDurably("\(data)/global/pg_control", bytes: control, mode: 0o600)
        if geteuid() == 0 { _ = try run("/bin/chown", ["postgres:", "\(data)/global/pg_control"]) }
        #expect(try fingerprint() == before)
        // The command that the message offers: without that WAL.
        try runAsServerUser("/bin/sh", ["-c", offered])
        try site.tidemark(["recover", "--target", "latest", "--start", "--yes"], expectSuccess: true)
        #expect(try site.cluster.psql("select count(*) from t") == "1000")
        // And with it.
        try site.cluster.stop(mode: "immediate")
        try runAsServerUser("/bin/sh", ["-c", "mv '\(data)' '\(data).without' && mv '\(data).dead' '\(data)'"])
        try site.tidemark(
            ["recover", "--target", "latest", "--target-timeline", "1", "--start", "--yes"], expectSuccess: true)
        #expect(try site.cluster.psql("select count(*) from t") == rows)
    }

    @Test(arguments: [["--delta"], []])
    func `resumed after the old server has run again, it rescues that one's commits, and asks`(
        _ options: [String]
    ) throws {
        let (site, _) = try deadSite()
        let recover = ["recover", "--target", "latest", "--start"] + options
        // Two moments between the state file and the first change of the directory: the manifest can't be read, and
        // another file can't be renamed.
        let fault = options.isEmpty ? "rename:/tidemark-cluster-=EIO" : "open:manifest=EIO"
        let failed = try site.tidemark(recover + ["--yes"], environment: ["TIDEMARK_FAULT": fault])
        try #require(failed.ending == .exited(1) && failed.errors.contains("fault: "), "\(failed)")
        let states = site.scratch.file("state/main/recover")
        try #require(try Files.list(states).contains { $0.hasSuffix(".json") }, "\(failed.errors)")
        try #require(try !Files.exists(site.cluster.data + "/tidemark.restoring"), "\(failed.errors)")
        // The server is started after all. Its new commits exist only there.
        try site.cluster.start()
        try site.cluster.psql("alter system set archive_command = '/bin/false'")
        try site.cluster.psql("select pg_reload_conf()")
        try site.cluster.wait(for: "the setting") { try site.cluster.psql("show archive_command") == "/bin/false" }
        try site.cluster.psql("insert into t select generate_series(2001, 2010)")
        try site.cluster.psql("select pg_switch_wal()")
        try site.cluster.psql("insert into t select generate_series(3001, 3010)")
        let rows = try site.cluster.psql("select count(*), sum(n) from t")
        try site.cluster.stop(mode: "immediate")
        let resume = ["recover", "--resume"]
        let planned = try site.tidemark(resume + ["--dry-run"])
        #expect(planned.ending == .exited(0) && planned.output.contains("last included"), "\(planned)")
        let unasked = try site.tidemark(resume)
        #expect(unasked.ending == .exited(1), "\(unasked)")
        #expect(unasked.errors.contains("cannot ask for confirmation without a terminal"), "\(unasked)")
        #expect(try Files.exists(site.cluster.data + "/global/pg_control"))
        let finished = try site.tidemark(resume + ["--yes"])
        try #require(finished.ending == .exited(0), "\(finished.errors)")
        #expect(try site.cluster.psql("select count(*), sum(n) from t") == rows)
    }

    @Test func `a backup taken soon after a recovery is as good as any, though the old timeline went further`() throws {
        let site = try TestSite(initdb: ["--wal-segsize=1"])
        try site.cluster.psql("create table t (n int)")
        try site.tidemark(["backup"], expectSuccess: true)
        try site.cluster.psql("insert into t values (1)")
        try site.cluster.psql("select pg_create_restore_point('good')")
        // The discarded WAL fills more segments than the new timeline will have.
        for _ in 0..<6 { try site.cluster.psql("insert into t values (-1); select pg_switch_wal()") }
        try site.archiveEverything()
        try site.cluster.stop()
        let back = try site.tidemark(["recover", "--target-name", "good", "--start", "--yes"])
        try #require(back.ending == .exited(0), "\(back.errors)")
        try site.cluster.psql("insert into t values (2)")
        try site.tidemark(["backup"], expectSuccess: true)
        let label = try site.tidemark(["list"]).output.split(separator: "\n").last { $0.contains("-full") }!
            .split(separator: " ").first { $0.contains("-full") }!
        for arguments in [["--target", "immediate", "--backup", String(label)], ["--target", "latest"]] {
            let directory = try RecoveredDirectory(site)
            let finished = try directory.recover(arguments)
            try #require(finished.ending == .exited(0), "\(arguments): \(finished.errors)")
            let answer = try RecoverAnswer(finished.output)
            #expect(answer.asPredicted == true)
            #expect(try directory.psql("select string_agg(n::text, ' ' order by n) from t") == "1 2", "\(arguments)")
        }
    }
}

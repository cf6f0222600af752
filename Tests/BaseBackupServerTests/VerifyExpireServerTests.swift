import Backups
import Platform
import Repository
import Support
import Testing
import WAL

/// The findings of `verify` never make `expire` remove what the rules keep.
@Suite struct VerifyExpireServerTests {
    /// Three backups, the newest last, with a segment after each.
    private final class Backups {
        let site: TestSite
        let labels: [String]
        let incarnation: Incarnation
        let store: DirectoryStore
        var archive: ClusterArchive { ClusterArchive(incarnation, in: store) }

        init(rules: [String]) throws {
            site = try TestSite(initdb: ["--wal-segsize=1"])
            store = DirectoryStore(site.repository)
            incarnation = try #require(Repository(store).incarnations(of: "main").first)
            try site.cluster.psql("create table t (n int)")
            for row in 0..<3 {
                try site.tidemark(["backup", "--no-expire"], expectSuccess: true)
                try site.cluster.psql("insert into t values (\(row))")
                try site.archiveEverything()
            }
            labels = try ClusterArchive(incarnation, in: store).listBackups().complete.map(\.label)
            try #require(labels.count == 3)
            let text = try Files.readText(site.configuration) + (["[retention]"] + rules).joined(separator: "\n") + "\n"
            try replaceDurably(site.configuration, bytes: Array(text.utf8), mode: 0o644)
        }

        /// The output of `expire --dry-run` for a backup.
        func verdict(_ label: String) throws -> String {
            let said = try site.tidemark(["expire", "--dry-run"], expectSuccess: true).output
            return said.split(separator: "\n").first { $0.hasPrefix("backup \(label) ") }.map(String.init) ?? said
        }

        /// Makes a pack of a backup shorter or different.
        func damage(_ label: String, cut: Bool) throws {
            let path = store.path(incarnation.pack(label, 1))
            let size = try FileStatus(of: path).size
            let script = cut ? "truncate -s \(size / 2) '\(path)'" : ":"
            try runAsServerUser("/bin/sh", ["-c", "chmod u+w '\(path)'; \(script)"])
            if !cut { try flipByte(of: path, at: size / 2) }
        }
    }

    /// An object that can't be read now may be whole, and pinned: nothing offers or performs its removal.
    @Test(arguments: ["file", "folder", "EIO"])
    func `a backup whose description cannot be read is not given up`(obstacle: String) throws {
        let backups = try Backups(rules: ["keep_full = 1"])
        let (site, old) = (backups.site, backups.labels[0])
        let folder = backups.store.path(backups.incarnation.backupFolder(old))
        let path = ["file": folder + "/backup.json", "folder": folder][obstacle]
        let environment = path == nil ? ["TIDEMARK_FAULT": "open:\(old)/backup.json=EIO"] : [:]
        if let path { try runAsServerUser("/bin/chmod", ["000", path]) }
        let commands = [
            ["expire"], ["remove", old, "--yes"], ["remove", old, "--dry-run"], ["check", "--only", "backup_health"],
        ]
        for command in commands {
            let told = try site.tidemark(command, environment: environment)
            #expect(told.ending != .exited(0), "\(command): \(told)")
            let says = told.output + told.errors
            #expect(says.contains("Make it readable") || says.contains("must be accessible"), "\(command): \(told)")
            #expect(!(told.output + told.errors).contains("tidemark remove"), "\(command): \(told)")
        }
        if let path { try runAsServerUser("/bin/chmod", [obstacle == "folder" ? "755" : "644", path]) }
        #expect(try backups.verdict(old).contains("would be removed"))
        try site.tidemark(["remove", old, "--yes"], expectSuccess: true)
    }

    @Test func `WAL that expire removed is no fault of a backup, and removes none`() throws {
        let backups = try Backups(rules: ["keep_full = 3", "keep_wal = 1s"])
        let site = backups.site
        Clock.sleep(milliseconds: 1100)
        let expired = try site.tidemark(["expire"], expectSuccess: true)
        try #require(expired.output.contains("WAL removed"), "\(expired.output)")
        let verified = try site.tidemark(["verify"])
        #expect(verified.ending == .exited(0), "\(verified.output)\(verified.errors)")
        for label in backups.labels {
            #expect(try backups.verdict(label).contains("kept: "))
        }
        #expect(try site.tidemark(["check", "--only", "verify"]).ending == .exited(0))
    }

    @Test func `lost WAL is reported as everywhere, and removes no backup`() throws {
        let backups = try Backups(rules: ["keep_full = 3"])
        let site = backups.site
        let first = try backups.archive.backup(backups.labels[0])
        let lost = first.stopSegment.next(segmentSize: first.segmentSize)
        try Files.remove(backups.store.path(backups.incarnation.segment(lost)))
        let verified = try site.tidemark(["verify"])
        #expect(verified.ending == .exited(3))
        for command in [["list"], ["verify"], ["verify", "--wal"]] {
            let told = try site.tidemark(command)
            #expect(
                told.ending == .exited(3)
                    && "\(told.output)\(told.errors)".contains("WAL segment \"\(lost)\" is missing"))
        }
        #expect(verified.output.contains("backup \(backups.labels[0]): good"), "\(verified.output)")
        #expect(try site.tidemark(["verify", backups.labels[2]]).ending == .exited(0))
        for label in backups.labels { #expect(try !backups.verdict(label).contains("damaged")) }
    }

    @Test(arguments: [false, true])
    func `a segment that a backup needs counts once, and both consequences are told`(isDamaged: Bool) throws {
        let backups = try Backups(rules: ["keep_full = 3"])
        let lost = try backups.archive.backup(backups.labels[0]).stopSegment
        let path = backups.store.path(backups.incarnation.segment(lost))
        if isDamaged {
            try runAsServerUser("/bin/chmod", ["u+w", path])
            try flipByte(of: path, at: FileStatus(of: path).size / 2)
        } else {
            try Files.remove(path)
        }
        let verified = try backups.site.tidemark(["verify"])
        #expect(verified.ending == .exited(3), "\(verified)")
        #expect(verified.errors.contains("\"\(lost)\", which the backup needs, is "), "\(verified)")
        #expect(isDamaged || verified.errors.contains("WAL segment \"\(lost)\" is missing"), "\(verified)")
        let history = try backups.site.tidemark(["history"], expectSuccess: true).output
        let count = try #require(history.matches(of: /[ ,]problems ([0-9]+)/).last)
        #expect(count.output.1 == "1", "\(history)")
    }

    /// Nobody has verified anything.
    @Test(arguments: [false, true]) func `a backup without its own WAL takes the place of no good one`(
        isPartOfSeveral: Bool
    ) throws {
        let backups = try Backups(rules: ["keep_full = 1"])
        let (site, labels) = (backups.site, backups.labels)
        let newest = try backups.archive.backup(labels[2])
        let lost = isPartOfSeveral ? newest.stopSegment : newest.startSegment
        try Files.remove(backups.store.path(backups.incarnation.segment(lost)))
        let expired = try site.tidemark(["expire"], expectSuccess: true).output
        #expect(expired.contains("backup \(labels[0]) removed"), "\(expired)")
        #expect(expired.contains("backup \(labels[1]) kept: newest good backup"), "\(expired)")
        #expect(
            expired.contains("damaged: WAL segment \"\(lost)\", which it needs, is missing"), "\(expired)")
        let refused = try site.tidemark(["remove", labels[1], "--yes"])
        #expect(
            refused.ending == .exited(1) && refused.errors.contains("No other good backup is in the repository."),
            "\(refused)")
        #expect(try site.backupLabels() == [labels[1], labels[2]])
    }

    @Test func `a backup that can't be read doesn't keep others from being verified`() throws {
        let backups = try Backups(rules: ["keep_full = 3"])
        let (site, old) = (backups.site, backups.labels[0])
        func others(_ verified: Finished, _ what: String, status: Int32 = 3) {
            #expect(verified.ending == .exited(status), "\(what): \(verified)")
            for label in backups.labels.dropFirst() {
                #expect(verified.output.contains("backup \(label): good"), "\(what): \(verified)")
            }
        }
        for place in ["/pack/\(old)", "\(old)/manifest"] {
            let verified = try site.tidemark(["verify"], environment: ["TIDEMARK_FAULT": "open:\(place)=EIO"])
            others(verified, place)
            #expect(
                verified.output.contains("backup \(old): ") && !verified.output.contains("\(old): good"), "\(verified)")
            // It is looked at again, and the disk gives it now.
            #expect(try !backups.verdict(old).contains("damaged"))
        }
        // If the disk is too full for a local file, the state of the backup isn't known.
        let full = try site.tidemark(["verify"], environment: ["TIDEMARK_FAULT": "open:\(old)/manifest=ENOSPC"])
        others(full, "full", status: 1)
        #expect(!full.output.contains("backup \(old)"), "\(full)")
        #expect(full.errors.contains("1 backup could not be verified: could not open file"), "\(full)")
        let folder = backups.store.path(backups.incarnation.backupFolder(old))
        try runAsServerUser("/bin/chmod", ["a-w", folder])
        let unrecorded = try site.tidemark(["verify"])
        try runAsServerUser("/bin/chmod", ["u+w", folder])
        // That says nothing about the backup.
        others(unrecorded, "unrecorded", status: 0)
        #expect(unrecorded.errors.contains("verification of backup \"\(old)\" could not be recorded"), "\(unrecorded)")
        try site.tidemark(["verify"], expectSuccess: true)
        #expect(try !backups.verdict(old).contains("damaged"))
    }

    @Test(arguments: [false, true]) func `a damaged backup stays as long as it would if it were good, and is named`(
        isCut: Bool
    ) throws {
        let backups = try Backups(rules: ["keep_full = 1"])
        let (old, newest) = (backups.labels[1], backups.labels[2])
        #expect(try backups.verdict(old).contains("would be removed"))
        try backups.damage(newest, cut: isCut)
        // Missing objects are noticed without a verification.
        if !isCut { #expect(try backups.site.tidemark(["verify", newest]).ending == .exited(3)) }
        #expect(
            try backups.verdict(newest).contains("kept: newest backup; newest for keep_full = 1; damaged: "))
        #expect(try backups.verdict(old).contains("kept: newest good backup; newest for keep_full = 1"))
        try backups.site.tidemark(["expire"], expectSuccess: true)
        #expect(try backups.site.backupLabels() == [old, newest])
    }

    @Test(arguments: ["rm -r \"$1\"", "find \"$1\" -type f -exec truncate -s 0 {} +"])
    func `a backup whose packs of a dead one are lost is damaged, and another one is kept`(damage: String) throws {
        let site = try TestSite()
        try site.cluster.psql("CREATE TABLE t AS SELECT i, md5(i::text) FROM generate_series(1, 50000) i; CHECKPOINT")
        try site.tidemark(["backup", "--no-expire"], expectSuccess: true)
        let store = DirectoryStore(site.repository)
        let incarnation = try #require(Repository(store).incarnations(of: "main").first)
        let archive = ClusterArchive(incarnation, in: store)
        let good = try #require(archive.listBackups().newest?.label)
        try site.tidemark(["backup", "--no-expire"], expectSuccess: true)
        let dead = try #require(archive.listBackups().newest?.label)
        try Files.removeTree(store.path(incarnation.backupFolder(dead)))
        try site.tidemark(["backup", "--no-expire", "--resume"], expectSuccess: true)
        let resumed = try #require(archive.listBackups().newest)
        try #require(try visibleDamage(of: resumed, from: archive) == nil)
        let folder = store.path(incarnation.packFolder(dead))
        try runAsServerUser(
            "/bin/sh", ["-c", "chmod -R u+w \"$1\"; \(damage)", "sh", folder])
        #expect(try visibleDamage(of: resumed, from: archive) != nil)
        let said = try site.tidemark(["expire", "--dry-run", "--keep-full", "1"], expectSuccess: true).output
        let verdict = said.split(separator: "\n").first { $0.hasPrefix("backup \(resumed.label) ") } ?? ""
        #expect(verdict.contains("damaged: "), "\(said)")
        try site.tidemark(["expire", "--keep-full", "1"], expectSuccess: true)
        #expect(try site.backupLabels() == [good, resumed.label])
        #expect(try site.tidemark(["remove", good, "--dry-run"]).ending == .exited(1))
    }
}

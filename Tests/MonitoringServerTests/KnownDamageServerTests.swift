import Glibc
import Platform
import Support
import Testing

/// Damage that a verification found is reported by every command that depends on it, as long as it persists.
@Suite(.serialized) struct KnownDamageServerTests {
    private func site() throws -> TestSite {
        let site = try TestSite(initdb: ["--wal-segsize=1"])
        try site.cluster.psql("create table t as select md5(n::text) as m from generate_series(1, 100) n")
        try site.tidemark(["backup"], expectSuccess: true)
        for _ in 0..<3 {
            try site.cluster.psql(
                "insert into t select md5(n::text || clock_timestamp()) from generate_series(1, 3000) n")
            try site.archiveEverything()
        }
        return site
    }

    private func damage(_ path: String, at offset: Int64) throws {
        let file = try Descriptor(open: path, O_RDWR)
        try [UInt8](repeating: 0xA5, count: 2).withUnsafeBytes { try file.write($0, at: offset, path: path) }
    }

    private func said(_ site: TestSite, _ command: [String]) throws -> String {
        let finished = try site.tidemark(command)
        return finished.output + finished.errors
    }

    private static let lookers = [
        ["plan", "--target", "latest"], ["window"], ["status"], ["list"], ["check"], ["check", "--json"],
        ["window", "--json"],
        ["plan", "--target", "latest", "--json"],
    ]

    @Test func `a segment behind the backup`() throws {
        let site = try site()
        let good = try site.tidemark(["verify"], expectSuccess: true).output
        #expect(good.contains(": good;") && good.contains(" 0 problems"), "\(good)")
        let path = try #require(
            run("/usr/bin/find", [site.repository, "-name", "0000000100000000????????.zst"]).output
                .split(separator: "\n").map(String.init).sorted().dropLast(2).last)
        let name = String(Files.name(path).dropLast(4))
        let original = path + ".kept"
        try runAsServerUser("/bin/cp", [path, original])
        // In the middle of a frame, which commands don't read for the segment's summary.
        try damage(path, at: try #require(try FileStatus(ofLinkItself: path)).size / 2)
        let unread = try said(site, ["status"])
        #expect(!unread.contains("is damaged"), "\(unread)")
        // Verifying backups alone doesn't find it.
        try site.tidemark(["verify", "--backups"], expectSuccess: true)
        let found = try site.tidemark(["verify"])
        #expect(found.ending == .exited(3) && found.errors.contains(name), "\(found.errors)")
        for command in Self.lookers {
            let words = try said(site, command)
            #expect(words.contains(name), "\(command): \(words)")
        }
        let check = try said(site, ["check", "--only", "verify_wal"])
        #expect(check.contains("critical") && check.contains("Take a backup now"), "\(check)")
        #expect(try said(site, ["check", "--only", "verify"]).contains("It was verified"))
        #expect(try said(site, ["window"]).contains("ERROR:  segment \"\(name)\" is damaged"))

        // Repaired: it is not reported any more, and check asks for another verification.
        try runAsServerUser("/bin/cp", [original, path])
        for command in Self.lookers.prefix(4) {
            let words = try said(site, command)
            #expect(!words.contains("is damaged"), "\(command): \(words)")
        }
        let repaired = try said(site, ["check", "--only", "verify_wal"])
        #expect(repaired.contains("warning") && repaired.contains("tidemark verify --wal"), "\(repaired)")
        try runAsServerUser("/bin/rm", [original])
        try site.tidemark(["verify", "--wal"], expectSuccess: true)
        #expect(try said(site, ["check", "--only", "verify_wal"]).contains("It was verified"))
    }

    /// The options of `expire`, and whether the old backup stays.
    private static let expiries: [(arguments: [String], settings: [String], staysCritical: Bool)] = [
        (["--keep-full", "1"], [], false), ([], ["keep_full = 1"], false), (["--keep-full", "2"], [], true),
    ]

    @Test(arguments: expiries.indices)
    func `a gap that a verification found doesn't count once it is expired`(_ row: Int) throws {
        let sample = Self.expiries[row]
        let site = try site()
        let path = try #require(
            run("/usr/bin/find", [site.repository, "-name", "0000000100000000????????.zst"]).output
                .split(separator: "\n").map(String.init).sorted().dropLast(2).last)
        let name = String(Files.name(path).dropLast(4))
        try runAsServerUser("/bin/rm", [path])
        #expect(try site.tidemark(["verify", "--wal"]).ending == .exited(3))
        let missed = try said(site, ["check", "--only", "verify_wal"])
        #expect(missed.contains("critical") && missed.contains(name), "\(missed)")
        try site.archiveEverything()
        try site.tidemark(["backup", "--no-expire"], expectSuccess: true)
        let text = try Files.readText(site.configuration) + "[retention]\n" + sample.settings.joined(separator: "\n")
        try replaceDurably(site.configuration, bytes: Array((text + "\n").utf8), mode: 0o644)
        try site.tidemark(["expire"] + sample.arguments, expectSuccess: true)
        let told = try said(site, ["check", "--only", "verify_wal"])
        #expect(told.contains(name) == sample.staysCritical, "\(told)")
        #expect(told.contains("critical") == sample.staysCritical, "\(told)")
        #expect(try site.tidemark(["segments"]).ending == .exited(sample.staysCritical ? 3 : 0))
    }

    @Test func `a segment that nobody can read, which the server still has`() throws {
        let site = try site()
        let path = try #require(
            run("/usr/bin/find", [site.repository, "-name", "0000000100000000????????.zst"]).output
                .split(separator: "\n").map(String.init).sorted().dropLast().last)
        try damage(path, at: 60)
        let name = String(Files.name(path).dropLast(4))
        var commands: Set<String> = []
        for line in [["segments"]] + ["wal_continuity", "rpo", "recovery_window"].map({ ["check", "--only", $0] }) {
            let told = try said(site, line)
            #expect(told.contains("egment \"\(name)\""), "\(line): \(told)")
            let command = told.split(separator: "store it with: ").last?.split(whereSeparator: \.isNewline).first
            try commands.insert(#require(command, "\(line): \(told)").split(separator: "  [")[0].description)
        }
        #expect(commands.count == 1, "\(commands)")
        try runAsServerUser("/bin/sh", ["-c", "cd / && \(commands.first ?? "false")"])
        for line in [["segments"], ["check", "--only", "wal_continuity"], ["check", "--only", "recovery_window"]] {
            let told = try site.tidemark(line)
            #expect(told.ending == .exited(0), "\(line): \(told)")
        }
    }

    @Test func `the newest segment, which the server still has`() throws {
        let site = try site()
        let path = try #require(
            run("/usr/bin/find", [site.repository, "-name", "0000000100000000????????.zst"]).output
                .split(separator: "\n").map(String.init).sorted().last)
        try damage(path, at: try #require(try FileStatus(ofLinkItself: path)).size / 2)
        // The repository's object can't be read, pg_wal can.
        for only in ["rpo", "archiving", "archive_backlog"] {
            let check = try said(site, ["check", "--only", only])
            #expect(!check.contains("unknown") && !check.contains("could not be read"), "\(check)")
        }
        // The remedy: archive it again.
        let name = String(Files.name(path).dropLast(4))
        let push = ["archive-push", "\(site.cluster.data)/pg_wal/\(name)"]
        let healed = try site.tidemark(push, expectSuccess: true)
        #expect(healed.errors.contains("stored again"), "\(healed.errors)")
        #expect(try said(site, ["du"]).contains("what was put aside"))
        try site.tidemark(["verify"], expectSuccess: true)
        // Where another segment's damaged object is in its place, --certain is needed.
        let others = try #require(
            run("/usr/bin/find", [Files.parent(path), "-name", "0000000100000000????????.zst"]).output
                .split(separator: "\n").map(String.init).sorted().dropLast().last)
        try runAsServerUser("/bin/sh", ["-c", "cat '\(others)' >'\(path)'"])
        try damage(path, at: try #require(try FileStatus(ofLinkItself: path)).size / 2)
        let refused = try site.tidemark(push)
        #expect(refused.ending == .exited(1), "\(refused.errors)")
        let command = try #require(
            refused.errors.split(separator: "with \"tidemark ").last?.split(separator: "\"").first)
        try site.tidemark(command.split(separator: " ").map(String.init) + ["--yes"], expectSuccess: true)
        try site.tidemark(push, expectSuccess: true)
        try site.tidemark(["verify"], expectSuccess: true)
    }

    @Test func `a backup's pack`() throws {
        let site = try site()
        let path = try #require(
            run("/usr/bin/find", [site.repository, "-path", "*/pack/*/000001"]).output.split(separator: "\n").first)
        try damage(String(path), at: 5000)
        #expect(try site.tidemark(["verify", "--backups"]).ending == .exited(3))
        let label = try #require(site.backupLabels().first)
        for command in Self.lookers {
            let words = try said(site, command)
            #expect(words.contains("backup") && words.contains(label), "\(command): \(words)")
        }
        #expect(try said(site, ["status"]).contains("Backup \"\(label)\" is damaged"))
        #expect(try said(site, ["plan", "--target", "latest"]).contains("This recovery restores what is damaged"))
        // The WAL was never read.
        #expect(try said(site, ["check", "--only", "verify_wal"]).contains("never verified"))
    }

    /// An object of a backup, what happens to it, and whether a look at it alone tells that it is whole again.
    struct Loss: Sendable, CustomTestStringConvertible {
        let name: String
        let object: String
        var damage = "chmod u+w $0 && printf '\\245\\245' | dd of=$0 bs=1 seek=5000 conv=notrunc status=none"
        var isSeen = true
        var testDescription: String { name }
    }
    static let losses = [
        Loss(name: "a pack", object: "*/pack/*/000001"),
        Loss(name: "the manifest", object: "*/manifest.sqlite.zst"),
        Loss(name: "a segment that it needs", object: "FIRST"),
        Loss(name: "such a segment's head", object: "FIRST", damage: "chmod u+w $0 && printf x >$0"),
        Loss(name: "such a segment is missing", object: "FIRST", damage: "rm -f $0"),
        // A record of a verification by an earlier version names no objects.
        Loss(name: "a pack, by a record without objects", object: "*/pack/*/000001", isSeen: false),
    ]

    @Test(arguments: losses)
    func `a backup that was repaired is damaged no more, and one that was not still is`(_ loss: Loss) throws {
        let site = try site()
        let label = try #require(site.backupLabels().first)
        let shown = try site.tidemark(["show", label, "--json"], expectSuccess: true).output
        let first = try #require(shown.firstMatch(of: /"first_wal" : "([0-9A-F]{24})"/)).output.1
        let place = loss.object == "FIRST" ? "*/\(first).zst" : loss.object
        let found = try run("/usr/bin/find", [site.repository, "-path", place]).output
        let path = try #require(found.split(separator: "\n").first.map(String.init))
        let kept = site.scratch.file("kept")
        try runAsServerUser("/bin/cp", ["-p", path, kept])
        try runAsServerUser("/bin/sh", ["-c", loss.damage, path])
        #expect(try site.tidemark(["verify", label]).ending == .exited(3))
        if !loss.isSeen {
            let record = try #require(
                run("/usr/bin/find", [site.repository, "-name", "verified-*.json"]).output.split(separator: "\n").last
                    .map(String.init))
            let text = try Files.readText(record).replacing(/,\n\ \ "objects"\ :\ \[[^\]]*\]/, with: "")
            try replaceDurably(record, bytes: resealed(text), mode: 0o644)
        }
        func expect(isDamaged: Bool, _ when: String) throws {
            for command in Self.lookers.prefix(4) + [["check", "--only", "verify"]] {
                let words = try said(site, command)
                // A plan names a segment itself.
                let isTold = ["is damaged", "cannot be read", "is missing"].contains(where: words.contains)
                #expect(isTold == isDamaged, "\(when), \(command): \(words)")
            }
        }
        try expect(isDamaged: true, "damaged")
        // Something else in its place is no repair.
        try runAsServerUser("/bin/sh", ["-c", "rm -f $0; head -c $(stat -c %s $1) /dev/urandom >$0", path, kept])
        try expect(isDamaged: true, "replaced")
        try runAsServerUser("/bin/sh", ["-c", "rm -f $0; cp -p $1 $0", path, kept])
        try expect(isDamaged: !loss.isSeen, "repaired")
        if loss.isSeen {
            let check = try said(site, ["check", "--only", "verify"])
            #expect(check.contains("warning") && check.contains("tidemark verify --backups"), "\(check)")
        }
        try site.tidemark(["verify", label], expectSuccess: true)
        try expect(isDamaged: false, "verified")
    }

    @Test func `a backup that can't be looked at is not called whole`() throws {
        let site = try site()
        let label = try #require(site.backupLabels().first)
        let fault = ["TIDEMARK_FAULT": "openDirectory:pack/\(label)=EIO"]
        let window = try site.tidemark(["window"], environment: fault)
        #expect(window.ending != .exited(0) && window.errors.contains("could not open directory"), "\(window)")
        let plan = try site.tidemark(["plan", "--target", "latest"], environment: fault)
        #expect((plan.output + plan.errors).contains("It is not known whether this recovery needs"), "\(plan)")
        let check = try site.tidemark(["check"], environment: fault)
        #expect(check.ending != .exited(0) && check.output.contains("could not open directory"), "\(check)")
        try site.tidemark(["window"], expectSuccess: true)
    }

    @Test(arguments: ["rm", "truncate -s 100"])
    func `a missing or short pack is reported by all, though nothing was verified`(_ damage: String) throws {
        let site = try site()
        let path = try #require(
            run("/usr/bin/find", [site.repository, "-path", "*/pack/*/000001"]).output.split(separator: "\n").first)
        try runAsServerUser("/bin/sh", ["-c", "cp $0 $0.kept && \(damage) $0", String(path)])
        let label = try #require(site.backupLabels().first)
        for command in Self.lookers {
            let words = try said(site, command)
            #expect(words.contains("backup") && words.contains(label), "\(command): \(words)")
        }
        let status = try said(site, ["status"])
        #expect(
            status.contains("Backup \"\(label)\" is damaged: ") && status.contains("are missing from the repository"),
            "\(status)")
        #expect(try said(site, ["plan", "--target", "latest"]).contains("This recovery restores what is damaged"))
        try runAsServerUser("/bin/mv", [path + ".kept", String(path)])
        for command in Self.lookers.prefix(4) { #expect(try !said(site, command).contains("is damaged")) }
    }
}

import Backups
import Platform
import Repository
import Support
import Testing
import WAL

/// An object of one backup that can't be read, or is missing, doesn't keep `verify` from the others.
@Suite struct VerifyFaultServerTests {
    /// A fault, in the older backup's folder of objects, of packs or its first segment.
    struct Obstacle: Sendable, CustomTestStringConvertible {
        let name: String
        /// The value of `TIDEMARK_FAULT`: `OLD` is the older backup's label, `SEGMENT` its first segment.
        var fault = ""
        /// Of a shell that gets the label as `$0` and the incarnation's folder as `$1`.
        var script = "true"
        let says: String
        var status: Int32 = 3
        var testDescription: String { name }
    }

    static let obstacles = [
        Obstacle(name: "a pack that cannot be opened", fault: "open:/pack/OLD/=EIO", says: "Input/output error"),
        Obstacle(name: "a pack that cannot be read", fault: "read:/pack/OLD/=EIO", says: "Input/output error"),
        Obstacle(name: "a manifest that cannot be read", fault: "read:/OLD/manifest=EIO", says: "Input/output error"),
        Obstacle(name: "WAL that cannot be read", fault: "read:SEGMENT.zst=EIO", says: "Input/output error"),
        Obstacle(
            name: "a directory in a pack's place",
            script: "for p in \"$1\"/pack/$0/*; do rm -f $p; mkdir $p; break; done", says: "not an ordinary file"),
        Obstacle(
            name: "a pack whose head is damaged",
            script: "for p in \"$1\"/pack/$0/*; do chmod u+w $p; "
                + "printf '\\011' | dd of=$p bs=1 seek=16 conv=notrunc status=none; break; done",
            says: "does not match its checksum"),
        Obstacle(
            name: "a record that cannot be written", fault: "open:/OLD/.verified-=EROFS",
            says: "WARNING:  the verification of backup", status: 0),
    ]

    private static let made = TestSite.shared {
        let site = try TestSite(initdb: ["--wal-segsize=1"])
        for _ in 1...2 {
            try site.tidemark(["backup", "--no-expire"], expectSuccess: true)
            try site.archiveEverything()
        }
        return site
    }

    private func archive(_ repository: String) throws -> ClusterArchive {
        let store = DirectoryStore(repository)
        return ClusterArchive(try #require(Repository(store).incarnations(of: "main").first), in: store)
    }

    @Test(arguments: obstacles) func `verify continues after objects that it cannot read`(_ obstacle: Obstacle) throws {
        let site = try Self.made.get()
        let scratch = try Scratch()
        let repository = scratch.file("repository")
        try runAsServerUser("/bin/sh", ["-c", "cp -a '\(site.repository)' '\(repository)'"])
        let archive = try archive(repository)
        let backups = try archive.listBackups().complete
        try #require(backups.count == 2)
        let (old, new) = (backups[0], backups[1])
        let folder = "\(repository)/main/\(archive.incarnation.folderName)"
        try runAsServerUser("/bin/sh", ["-c", obstacle.script, old.label, folder])
        let fault = obstacle.fault.replacing("OLD", with: old.label)
            .replacing("SEGMENT", with: old.startSegment.description)
        let finished = try site.tidemark(
            ["verify", "--backups", "--repository", repository], environment: ["TIDEMARK_FAULT": fault])
        #expect(finished.ending == .exited(obstacle.status), "\(finished)")
        #expect(finished.errors.contains(obstacle.says), "\(finished.errors)")
        #expect(finished.output.contains("backup \(new.label): good"), "\(finished)")
        #expect(finished.output.contains("backup \(old.label): "), "\(finished)")
    }

    /// What this host lacks while the older backup is read, and whether the newer one is read all the same.
    @Test(
        arguments: [
            ("open:/pack/OLD/=EMFILE", true), ("open:/OLD/manifest=ENOSPC", true), ("TMPDIR", false),
        ])
    func `what this host lacks is no problem of a backup`(lack: String, isOne: Bool) throws {
        let site = try Self.made.get()
        let scratch = try Scratch()
        let repository = scratch.file("repository")
        try runAsServerUser("/bin/sh", ["-c", "cp -a '\(site.repository)' '\(repository)'"])
        let archive = try archive(repository)
        let labels = try archive.listBackups().complete.map(\.label)
        let environment =
            isOne ? ["TIDEMARK_FAULT": lack.replacing("OLD", with: labels[0])] : [lack: "/nonexistent"]
        let finished = try site.tidemark(["verify", "--backups", "--repository", repository], environment: environment)
        #expect(finished.ending == .exited(1), "\(finished)")
        #expect(finished.errors.contains(" could not be verified: "), "\(finished)")
        #expect(!finished.output.contains("problem"), "\(finished)")
        #expect(finished.output.contains("backup \(labels[1]): good") == isOne, "\(finished)")
        let history = try site.tidemark(["history", "--job", "verify", "--repository", repository]).output
        #expect(history.contains("failure"), "\(history)")
        let listed = try site.tidemark(["list", "--repository", repository])
        #expect(!listed.output.contains("1 problem"), "\(listed)")
    }

    /// Where what can't be written is, and whether the backup has a problem besides.
    @Test(
        arguments: ["open:/OLD/.verified-=EROFS", "open:/OLD/.verified-=ENOSPC", "write:/OLD/.verified-=EIO"],
        [false, true])
    func `a verification that can't be recorded is no problem of the backup`(fault: String, isDamaged: Bool) throws {
        let site = try Self.made.get()
        let scratch = try Scratch()
        let repository = scratch.file("repository")
        try runAsServerUser("/bin/sh", ["-c", "cp -a '\(site.repository)' '\(repository)'"])
        let archive = try archive(repository)
        let old = try archive.listBackups().complete[0].label
        if isDamaged {
            let pack = "\(repository)/main/\(archive.incarnation.folderName)/pack/\(old)/000001"
            try runAsServerUser("/bin/chmod", ["u+w", pack])
            try flipByte(of: pack, at: FileStatus(of: pack).size / 2)
        }
        let finished = try site.tidemark(
            ["verify", old, "--repository", repository],
            environment: ["TIDEMARK_FAULT": fault.replacing("OLD", with: old)])
        #expect(finished.ending == .exited(isDamaged ? 3 : 0), "\(finished)")
        #expect(finished.errors.contains("could not be recorded"), "\(finished)")
        let history = try site.tidemark(["history", "--job", "verify", "--json", "--repository", repository]).output
        #expect(history.contains("\"problems\" : \"0\"") == !isDamaged, "\(history)")
    }

    @Test func `a backup that is removed meanwhile is passed over`() throws {
        let site = try TestSite(initdb: ["--wal-segsize=1"])
        for _ in 1...2 { try site.tidemark(["backup", "--no-expire"], expectSuccess: true) }
        let backups = try archive(site.repository).listBackups().complete
        let program = try Executables.directory.get() + "/tidemark-main"
        let finished = try Gate(at: "open:/pack/\(backups[0].label)/").run(
            program, ["verify"], environment: ["TIDEMARK_CONFIG": site.configuration],
            meanwhile:
                "unset TIDEMARK_FAULT; \(program) remove \(backups[1].label) --force --yes; echo \"status $?\" >&2")
        #expect(finished.errors.contains("status 0"), "\(finished)")
        #expect(finished.ending == .exited(0), "\(finished)")
        #expect(finished.output.contains("backup \(backups[0].label): good"), "\(finished)")
        #expect(finished.errors.contains("has no complete backup \"\(backups[1].label)\""), "\(finished)")
    }

    @Test func `the newest backup is verified, or the reason why not is reported`() throws {
        let site = try TestSite(initdb: ["--wal-segsize=1"])
        let none = try site.tidemark(["verify", "--latest"])
        #expect(none.ending == .exited(3) && none.errors.contains("has no complete backup"), "\(none)")
        for _ in 1...2 { try site.tidemark(["backup", "--no-expire"], expectSuccess: true) }
        let archive = try archive(site.repository)
        let labels = try archive.listBackups().complete.map(\.label)
        let good = try site.tidemark(["verify", "--latest"])
        #expect(good.ending == .exited(0) && good.output.contains("backup \(labels[1]): good"), "\(good)")
        let path = "\(site.repository)/main/\(archive.incarnation.folderName)/backup/\(labels[1])/backup.json"
        try runAsServerUser("/bin/sh", ["-c", "chmod u+w \"$0\"; truncate -s 10 \"$0\"", path])
        let damaged = try site.tidemark(["verify", "--latest"])
        #expect(damaged.ending == .exited(3), "\(damaged)")
        #expect(damaged.errors.contains("backup \"\(labels[1])\" cannot be used"), "\(damaged)")
    }

    /// `backup.json` comes before its seal: a reader that looks for the one too early and for the other in time sees no
    /// damage.
    @Test func `a backup that is completed between two looks is whole`() throws {
        let site = try TestSite(initdb: ["--wal-segsize=1"])
        try site.tidemark(["backup"], expectSuccess: true)
        let archive = try archive(site.repository)
        let label = try #require(archive.listBackups().newest?.label)
        let folder = "\(site.repository)/main/\(archive.incarnation.folderName)/backup/\(label)"
        try runAsServerUser("/bin/sh", ["-c", "mkdir \"$0.kept\"; mv \"$0\"/backup.json* \"$0.kept\"", folder])
        // The kept files are in a folder that looks like one more backup.
        try runAsServerUser("/bin/sh", ["-c", "mv \"$0.kept\" \"$1\"", folder, site.repository + "/kept"])
        let program = try Executables.directory.get() + "/tidemark-main"
        let finished = try Gate(at: "open:/\(label)/backup.json.xxh128").run(
            program, ["list"], environment: ["TIDEMARK_CONFIG": site.configuration],
            meanwhile: "mv \(site.repository)/kept/* \(folder)")
        #expect(finished.ending == .exited(0) && finished.output.contains("\(label) | full"), "\(finished)")
    }
}

import Glibc
import Platform
import Support
import Testing

/// A manifest changed by a person who can write to the repository.
private struct Forgery: Sendable, CustomTestStringConvertible {
    let testDescription: String
    let statements: String
    /// Of `verify`, which knows nothing of the backup's tablespaces.
    var isSeenByVerify = true

    /// Paths are checked before anything is written; sizes, frames and runs when they are read.
    var isFoundLate: Bool {
        ["update frame", "update runs", "update file set size"].contains { statements.hasPrefix($0) }
    }

    init(_ name: String, _ statements: String, isSeenByVerify: Bool = true) {
        (testDescription, self.statements, self.isSeenByVerify) = (name, statements, isSeenByVerify)
    }

    private static func list(_ name: String, _ list: String) -> Forgery {
        Forgery(name, "update runs set list = \(list) where file = (select min(file) from runs)")
    }
    private static func moved(_ name: String, to path: String) -> Forgery {
        Forgery(name, "update file set path = \(path) where path = 'pg_hba.conf'")
    }
    static let all = [
        moved("upwards", to: "'../out/pg_hba.conf'"), moved("upwards from within", to: "'base/../../out/x'"),
        moved("upwards at the end", to: "'base/..'"),
        moved("upwards before a combining mark", to: "'../out' || char(47, 769) || 'x'"),
        moved("to the root", to: "'/var/tmp/tidemark-hostile-\(getpid())'"),
        moved("an empty name", to: "'base//x'"), moved("an empty name at the end", to: "'base/'"),
        Forgery("no name", "delete from file where path = ''; update file set path = '' where path = 'pg_hba.conf'"),
        moved("a dot", to: "'./pg_hba.conf'"), moved("a dot within", to: "'base/./x'"),
        moved("a zero byte", to: "'pg_hba' || char(0) || '/../../out/x'"),
        moved("a name that is too long", to: "'\(String(repeating: "x", count: 300))'"),
        moved("another file in a tablespace", to: "(select path from file where kind = 't') || '/authorized_keys'"),
        moved(
            "another file in a tablespace, named with a combining mark",
            to: "(select path from file where kind = 't') || char(47, 769) || 'authorized_keys'"),
        Forgery("a directory upwards", "update file set path = '../out/d' where path = 'pg_notify'"),
        Forgery(
            "a tablespace's link elsewhere", "update file set path = 'base/16390' where kind = 't'"),
        Forgery("a tablespace's link of another name", "update file set path = 'pg_tblspc/x' where kind = 't'"),
        Forgery("a tablespace's link upwards", "update file set path = 'pg_tblspc/../1' where kind = 't'"),
        Forgery(
            "a tablespace that the backup does not have",
            "insert into file select 900001, 'pg_tblspc/1', kind, mode, modified, size, target, digest from file where kind = 't'",
            isSeenByVerify: false),
        Forgery("a pack elsewhere", "update pack set label = '../../x'"),
        Forgery("a pack of an impossible number", "update pack set number = -1"),
        Forgery("a target upwards", "update file set target = '/srv/../etc' where kind = 't'"),
        Forgery("a target from here", "update file set target = 'etc' where kind = 't'"),
        Forgery("no target", "update file set target = null where kind = 't'"),
        Forgery(
            "a frame longer than memory",
            "update frame set length = 1099511627776 where id = (select min(id) from frame)"),
        Forgery(
            "content larger than memory", "update frame set size = 1099511627776 where id = (select min(id) from frame)"
        ),
        Forgery("a frame before the pack", "update frame set offset = -1 where id = (select min(id) from frame)"),
        Forgery("a frame of negative length", "update frame set length = -1 where id = (select min(id) from frame)"),
        Forgery("a digest of one byte", "update frame set digest = x'00' where id = (select min(id) from frame)"),
        list("a run in a frame before the first", "run_list(1, -5, 0)"),
        list("a run of no length", "run_list(0, 1, 0)"),
        list("a run beyond all numbers", "run_list(1 << 62, 1, 0)"),
        list("a run beyond all files", "run_list(1 << 52, 1, 0)"),
        list("a run beyond its frame", "run_list(1, 1, 1 << 62)"),
        list("a run in no frame", "run_list(1, 1 << 40, 0)"),
        list("a list that is cut off", "x'0283'"), list("a list without an end", "x'80'"),
        Forgery("a file of negative size", "update file set size = -1 where path = 'PG_VERSION'"),
    ].map { forgery in
        guard forgery.statements.contains("authorized_keys") else { return forgery }
        return Forgery(forgery.testDescription, forgery.statements, isSeenByVerify: false)
    }
}

@Suite(.serialized) struct HostileManifestServerTests {
    private static let site = TestSite.shared {
        let site = try TestSite(initdb: ["--wal-segsize=1"])
        try runAsServerUser("/bin/mkdir", [site.scratch.file("space")])
        try site.cluster.psql("create tablespace s location '\(site.scratch.file("space"))'")
        try site.cluster.psql("create table t tablespace s as select 1")
        try site.tidemark(["backup"], expectSuccess: true)
        try site.archiveEverything()
        return site
    }

    private func recover(_ site: TestSite, _ scratch: Scratch, _ options: [String] = []) throws -> Finished {
        try site.tidemark(
            [
                "recover", "--target", "immediate", "--data-directory", scratch.file("data"), "--yes",
                "--tablespace-mapping", "\(site.scratch.file("space"))=\(scratch.file("space"))",
            ] + options)
    }

    /// Runs `body` with a changed manifest.
    private func withManifest(of site: TestSite, _ statements: String, _ body: () throws -> Void) throws {
        let path = try run("/usr/bin/find", [site.repository, "-name", "manifest.sqlite.zst"]).output
            .split(separator: "\n").map(String.init)
        let manifest = try #require(path.first)
        let bytes = try Files.read(manifest)
        defer {
            try? bytes.withUnsafeBytes { try Descriptor(open: manifest, O_WRONLY | O_TRUNC).write($0, path: manifest) }
        }
        try inManifest(of: site.repository, statements)
        try body()
    }

    @Test(arguments: Forgery.all) private func `a manifest does not lead out of its directory`(_ forgery: Forgery)
        throws
    {
        let site = try Self.site.get()
        let scratch = try Scratch()
        try runAsServerUser("/bin/mkdir", [scratch.file("out")])
        try withManifest(of: site, forgery.statements) {
            let finished = try recover(site, scratch)
            #expect(finished.ending == .exited(1), "\(finished.ending) \(finished.errors)")
            #expect(finished.errors.contains("of the repository is damaged"), "\(finished.errors)")
            // False frames and runs are found when they are read; then the restore stays incomplete, and says so.
            let made = try Files.list(scratch.path).filter { !["data", "space"].contains($0) }
            #expect(try made == ["out"] && Files.list(scratch.file("out")) == [])
            let isMade = try Files.exists(scratch.file("data"))
            #expect(!isMade || forgery.isFoundLate && finished.errors.contains("What has been restored stays"))
            if !forgery.isFoundLate {
                #expect(finished.errors.contains("/manifest.sqlite.zst\""), "\(finished.errors)")
            }
            #expect(try !Files.exists("/var/tmp/tidemark-hostile-\(getpid())"))
            guard forgery.isSeenByVerify else { return }
            let verified = try site.tidemark(["verify"])
            #expect(verified.ending == .exited(3), "\(verified.ending) \(verified.errors)")
        }
    }

    @Test func `modes are those that PostgreSQL gives its files, whatever the manifest says`() throws {
        let site = try Self.site.get()
        let scratch = try Scratch()
        try withManifest(
            of: site,
            """
            update file set mode = 511 where kind <> 'f'; update file set mode = 438 where path like 'base/%' and kind = 'f';
            update file set mode = 2541 where path = 'PG_VERSION'
            """
        ) {
            let finished = try recover(site, scratch)
            try #require(finished.ending == .exited(0), "\(finished.errors)")
            let open = try run(
                "/usr/bin/find", [scratch.file("data"), scratch.file("space"), "!", "-type", "l", "-perm", "/7027"])
            #expect(open.output == "", "\(open.output)")
            #expect(try FileStatus(of: scratch.file("data")).mode == 0o750)
            #expect(try FileStatus(of: scratch.file("data/PG_VERSION")).mode == 0o750 & 2541)
            // Nor does a second restore over it, nor over what was changed in it meanwhile.
            try runAsServerUser(
                "/bin/chmod", ["-R", "o+rwx,g+w,u+s", scratch.file("data/base"), scratch.file("data/PG_VERSION")])
            let again = try recover(site, scratch, ["--delta"])
            try #require(again.ending == .exited(0), "\(again.errors)")
            let still = try run(
                "/usr/bin/find", [scratch.file("data"), scratch.file("space"), "!", "-type", "l", "-perm", "/7027"])
            #expect(still.output == "", "\(still.output)")
        }
    }
}

import Glibc
import Platform
import Support
import Testing

/// Files that people put into a data directory.
@Suite(.serialized) struct WalkServerTests {
    /// An entry in the data directory, and how a backup treats it.
    private struct Guest: Sendable, CustomTestStringConvertible {
        let testDescription: String
        /// A piece of a shell script in the data directory; `$OUT` is a directory outside, `$REPO`, `$STATE`
        /// tidemark's.
        let put: String
        /// Whether root creates it.
        var asRoot = false
        /// The warning; nil when there is none.
        let says: String?
        /// What must be in the backup, and what must not.
        var has: [String] = []
        var lacks: [String] = []

        static let all = [
            Guest(
                testDescription: "a link to the directory", put: "ln -s . pgdata", says: "\"pgdata\" leads back",
                lacks: ["pgdata", "pgdata/PG_VERSION"]),
            Guest(
                testDescription: "a link to the directory above", put: "ln -s .. above", says: "\"above\" leads back",
                lacks: ["above"]),
            Guest(
                testDescription: "a link to the root", put: "ln -s / top", says: "\"top\" leads back", lacks: ["top"]),
            Guest(
                testDescription: "a link to itself", put: "ln -s loop loop", says: "\"loop\" leads to itself",
                lacks: ["loop"]),
            Guest(
                testDescription: "a link nowhere", put: "ln -s nothing gone", says: "\"gone\" leads nowhere",
                lacks: ["gone"]),
            Guest(
                testDescription: "links that lead to each other's directories",
                put: "mkdir -p $OUT/a $OUT/b; ln -s $OUT/b $OUT/a/b; ln -s $OUT/a $OUT/b/a; ln -s $OUT/a mutual",
                says: "\"mutual/b/a\" leads back", has: ["mutual", "mutual/b"], lacks: ["mutual/b/a"]),
            Guest(
                testDescription: "a link to the repository", put: "ln -s $REPO backups",
                says: "\"backups\" leads to tidemark's repository", lacks: ["backups", "backups/main"]),
            Guest(
                testDescription: "a link to a part of the repository", put: "ln -s $REPO/main part",
                says: "\"part\" leads to tidemark's repository", lacks: ["part"]),
            Guest(
                testDescription: "a link to a file of the repository",
                put: "ln -s $(find $REPO -name incarnation.json | head -1) piece",
                says: "\"piece\" leads to tidemark's repository", lacks: ["piece"]),
            Guest(
                // The test mounts it, once the backup has found its places apart.
                testDescription: "a mount of a part of the repository", put: "mkdir bound",
                says: "\"bound\" leads to tidemark's repository", lacks: ["bound"]),
            Guest(
                testDescription: "a link to what holds the repository", put: "ln -s $(dirname $REPO) all",
                says: "\"all/repository\" leads to tidemark's repository", has: ["all/tidemark.conf"],
                lacks: ["all/repository", "all/state"]),
            Guest(
                testDescription: "a file system's lost+found", put: "mkdir -m 700 lost+found", asRoot: true,
                says: nil,
                lacks: ["lost+found"]),
            Guest(
                testDescription: "a link to a directory elsewhere",
                put: "mkdir $OUT/log; touch $OUT/log/x; ln -s $OUT/log log",
                says: nil, has: ["log", "log/x"]),
            Guest(
                testDescription: "a FIFO", put: "mkfifo pipe", says: "special file \"pipe\" is left out",
                lacks: ["pipe"]),
            Guest(
                testDescription: "a link to a device", put: "ln -s /dev/zero zero",
                says: "special file \"zero\" is left out", lacks: ["zero"]),
        ]
    }

    private func shell(_ script: String, _ site: TestSite, _ out: String, asRoot: Bool = false) throws {
        let environment = [
            "OUT": out, "REPO": site.repository, "STATE": site.scratch.file("state"), "DATA": site.cluster.data,
        ]
        let whole = "cd \"$DATA\" && \(script)"
        if asRoot {
            let variables = environment.map { "\($0)=\($1)" }
            let done = try run("/usr/bin/env", variables + ["/bin/sh", "-c", whole])
            try #require(done.ending == .exited(0), "\(done.errors)")
        } else {
            try runAsServerUser("/bin/sh", ["-c", whole], environment: environment)
        }
    }

    @Test func `a backup neither follows a link in circles nor takes what is not the cluster's`() throws {
        let site = try TestSite(initdb: ["--wal-segsize=1"])
        let out = site.scratch.file("out")
        try runAsServerUser("/bin/mkdir", [out, site.scratch.file("state/scratch")], expectSuccess: false)
        // A tablespace may lie above the data directory; only one folder in it is read.
        try #require(run("/bin/chown", ["postgres", site.cluster.directory]).ending == .exited(0))
        try site.cluster.psql("create tablespace above location '\(site.cluster.directory)'")
        try site.cluster.psql("create table t tablespace above as select 1")
        for guest in Guest.all { try shell(guest.put, site, out, asRoot: guest.asRoot) }
        defer { _ = try? run("/bin/umount", ["-l", site.cluster.data + "/bound"]) }
        let gate = try Gate(at: "open:/global/pg_control")
        let (bound, part) = (site.cluster.data + "/bound", site.repository + "/main")
        let worker = try Worker {
            try? gate.waitUntilReached()
            _ = try? run("/bin/mount", ["--bind", part, bound])
            try? gate.open()
        }
        let finished = try site.tidemark(["backup"], environment: gate.environment, expectSuccess: true)
        worker.join()
        let paths = Set(
            try inManifest(of: site.repository, "select path from file").split(separator: "\n").map(String.init))
        for guest in Guest.all {
            if let says = guest.says { #expect(finished.errors.contains(says), "\(guest): \(finished.errors)") }
            #expect(paths.isSuperset(of: guest.has) && paths.isDisjoint(with: guest.lacks), "\(guest)")
        }
        let file = try site.cluster.psql("select pg_relation_filepath('t')")
        #expect(paths.contains(file), "\(file) is not in the backup")
        #expect(!paths.contains { $0.contains("pack/") }, "a backup is in the backup")
        #expect(!finished.errors.contains("lost+found"), "\(finished.errors)")
        // The links are recorded in the backup.
        let json = try run(
            "/usr/bin/find", [site.repository, "-name", "backup.json", "-exec", "cat", "{}", "+"]
        ).output
        #expect(json.contains("\"path\" : \"log\"") && json.contains("\"target\" : \"\(out)/log\""), "\(json)")
    }

    @Test func `files that may not be read are named, and excluded ones left out`() throws {
        let site = try TestSite(initdb: ["--wal-segsize=1"])
        let out = site.scratch.file("out")
        try shell("mkdir log conf.d && touch log/a.csv log/b.log conf.d/x core.1", site, out)
        try shell("touch secret && chmod 600 secret && mkdir -m 700 closed && touch closed/x", site, out, asRoot: true)
        for name in ["closed", "secret"] {
            let refused = try site.tidemark(["backup"])
            #expect(refused.ending == .exited(1))
            #expect(refused.errors.contains("\(name)\": Permission denied"), "\(refused.errors)")
            #expect(refused.errors.contains("exclude = '\(name)'"), "\(refused.errors)")
            if name == "closed" { try shell("rm -r closed", site, out, asRoot: true) }
        }
        for own in [
            "base", "pg_wal", "pg_*", "*", "global/pg_control", "PG_VERSION", "./base/1", "pg_xact/", "/log", "../x",
            "",
        ] {
            let refused = try site.tidemark(["backup", "--exclude", "log," + own])
            if own.isEmpty { continue }
            #expect(refused.ending == .exited(1), "\(own)")
            #expect(refused.errors.contains("exclude cannot contain"), "\(own): \(refused.errors)")
        }
        let exclude = "secret, log/*.csv, conf.d/, core.?, private"
        try site.tidemark(["backup", "--exclude", exclude], expectSuccess: true)
        let paths = try inManifest(of: site.repository, "select path from file").split(separator: "\n").map(String.init)
        #expect(paths.contains("log/b.log"))
        #expect(Set(paths).isDisjoint(with: ["secret", "log/a.csv", "conf.d", "conf.d/x", "core.1"]))
        // Nor does a delta recovery remove excluded files.
        try site.archiveEverything()
        try site.cluster.stop()
        try shell("chown postgres secret; touch stranger; mkdir -m 700 lost+found private", site, out, asRoot: true)
        try site.tidemark(
            ["recover", "--target", "immediate", "--delta", "--yes", "--exclude", exclude], expectSuccess: true)
        let left = Set(try Files.list(site.cluster.data))
        #expect(
            left.isSuperset(of: ["secret", "core.1", "conf.d", "lost+found", "private"]) && !left.contains("stranger"))
        #expect(try Files.list(site.cluster.data + "/log").sorted() == ["a.csv", "b.log"])
    }
}

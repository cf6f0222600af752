import Glibc
import Platform
import Support
import Testing

/// A symbolic link in a directory that a delta recovery restores to the backup's state.
private struct PlantedLink: Sendable, CustomTestStringConvertible {
    let testDescription: String
    /// The link's path in the data directory; empty where it is the tablespace's folder.
    let path: String
    /// A piece of a shell script in the data directory; `$OUT` is a directory outside, `$REPO` the repository.
    let plant: String

    init(_ path: String, _ name: String, _ plant: String) {
        (self.path, testDescription, self.plant) = (path, name, plant)
    }

    static let all = [
        PlantedLink("pg_xact", "a directory of the server's", "mv pg_xact $OUT/pg_xact; ln -s $OUT/pg_xact pg_xact"),
        PlantedLink("base", "all databases", "cp -a base $OUT/base; rm -rf base; ln -s $OUT/base base"),
        PlantedLink("log", "a directory that the backup does not have", "ln -s $OUT/log log"),
        PlantedLink("conf.d", "a directory that the backup has", "rm -rf conf.d; ln -s $OUT/log conf.d"),
        PlantedLink(
            "postgresql.conf", "a file", "mv postgresql.conf $OUT/; ln -s $OUT/postgresql.conf postgresql.conf"),
        PlantedLink("conf.d/more.conf", "a file that dangles", "ln -sf $OUT/nothing conf.d/more.conf"),
        PlantedLink("pg_subtrans", "nowhere", "rm -rf pg_subtrans; ln -s $OUT/nothing pg_subtrans"),
        PlantedLink("pg_multixact", "itself", "rm -rf pg_multixact; ln -s pg_multixact pg_multixact"),
        PlantedLink("parent", "the directory above", "ln -s .. parent"),
        PlantedLink("pg_notify", "the directory itself", "rm -rf pg_notify; ln -s . pg_notify"),
        PlantedLink(
            "global/1262", "another name of the same file",
            "ln global/1262 $OUT/1262; echo more >>global/1262"),
        PlantedLink("backups", "the repository", "ln -s $REPO backups"),
        PlantedLink("pg_stat", "the repository, in the place of a directory", "rm -rf pg_stat; ln -s $REPO pg_stat"),
        PlantedLink("pg_wal", "pg_wal, to where the data directory lies", "rm -rf pg_wal; ln -s .. pg_wal"),
        PlantedLink(
            "", "a tablespace's own folder", "mv $SPACE/PG_* $OUT/space; ln -s $OUT/space $SPACE/$FOLDER"),
    ]
}

@Suite(.serialized) struct LinkServerTests {
    private struct Source {
        let site: TestSite
        let original: String
        let space: String
    }
    private static let site = TestSite.shared {
        let site = try TestSite(initdb: ["--wal-segsize=1"])
        let space = site.scratch.file("space")
        try runAsServerUser(
            "/bin/sh", ["-c", "mkdir $0 $1/conf.d; echo '#' >$1/conf.d/more.conf", space, site.cluster.data])
        try site.cluster.psql("create tablespace s location '\(space)'")
        try site.cluster.psql("create table t tablespace s as select n, md5(n::text) from generate_series(1, 1000) n")
        try site.tidemark(["backup"], expectSuccess: true)
        try site.archiveEverything()
        return site
    }
    private func source() throws -> Source {
        let site = try Self.site.get()
        return Source(site: site, original: site.scratch.file("space"), space: site.scratch.file("other"))
    }

    private func listing(_ directory: String) throws -> String {
        let script = "find $0 -printf '%P %y %s %m %T@\\n' | sort; find $0 -type f -exec md5sum {} + | sort"
        return try run("/bin/sh", ["-c", script, directory]).output
    }

    private func recover(
        _ source: Source, _ directory: String, _ arguments: [String], environment: [String: String] = [:]
    ) throws -> Finished {
        try source.site.tidemark(
            [
                "recover", "--target", "immediate", "--data-directory", directory, "--yes", "--tablespace-mapping",
                "\(source.original)=\(source.space)",
            ] + arguments, environment: environment)
    }

    @Test(arguments: PlantedLink.all)
    private func `a delta recovery does not touch what a link leads to`(_ link: PlantedLink) throws {
        let source = try source()
        let scratch = try Scratch()
        let (directory, out) = (scratch.file("data"), scratch.file("out"))
        defer { _ = try? run("/bin/rm", ["-rf", source.space]) }
        let fresh = try recover(source, directory, [])
        try #require(fresh.ending == .exited(0), "\(fresh.errors)")
        let folder = try #require(Files.list(source.space).first)
        let script = """
            set -e; cd "$DIRECTORY"; mkdir -p $OUT/log; echo theirs >$OUT/log/other-cluster.log
            \(link.plant)
            touch $OUT/foreign; for d in $OUT/*/; do echo theirs >$d/foreign; done
            """
        try runAsServerUser(
            "/bin/bash", ["-c", script],
            environment: [
                "DIRECTORY": directory, "OUT": out, "REPO": source.site.repository, "SPACE": source.space,
                "FOLDER": folder,
            ])
        let before =
            try listing(out)
            + listing(source.site.repository + "/main")
            .split(separator: "\n").filter { $0.contains("pack/") }.joined(separator: "\n")
        let plan = try recover(source, directory, ["--delta", "--dry-run"])
        let isSymbolic = !link.plant.contains("ln global")
        if !link.path.isEmpty, isSymbolic {
            #expect(plan.output.contains("Symbolic link \"\(link.path)\""), "\(plan.output)")
        }
        let finished = try recover(source, directory, ["--delta"])
        try #require(finished.ending == .exited(0), "\(finished.errors)")
        let after =
            try listing(out)
            + listing(source.site.repository + "/main")
            .split(separator: "\n").filter { $0.contains("pack/") }.joined(separator: "\n")
        #expect(after == before)
        let told = link.path.isEmpty ? "pg_tblspc/" : "Symbolic link \"\(link.path)\" was removed"
        #expect(finished.output.contains(told) == isSymbolic, "\(finished.output)")
        // No link is left, and the copy is whole.
        let links = try run("/usr/bin/find", [directory, source.space, "-type", "l", "-printf", "%P "]).output
        #expect(links.split(separator: " ").allSatisfy { $0.hasPrefix("pg_tblspc/") }, "\(links)")
        let checked = try runAsServerUser(
            source.site.cluster.server.bin + "/pg_verifybackup",
            ["--no-parse-wal", "-i", "postgresql.auto.conf", "-i", "recovery.signal", directory], expectSuccess: false)
        #expect(checked.ending == .exited(0), "\(checked.errors)")
    }

    private func giveDisk(_ directory: String, _ disk: String) throws {
        let old = "000000010000000000000001"
        try runAsServerUser(
            "/bin/sh",
            [
                "-c",
                """
                mv $0/pg_wal $1 && ln -s $1 $0/pg_wal && mkdir $1/lost+found $1/others && cd $1 &&
                echo theirs >notes && echo theirs >others/file && echo old >\(old) && echo old >archive_status/\(old).done
                """, directory, disk,
            ])
    }

    @Test func `WAL on a disk of its own stays there in a delta recovery, and what others have beside it, too`() throws
    {
        let site = try TestSite(initdb: ["--wal-segsize=1"])
        try site.tidemark(["backup"], expectSuccess: true)
        try site.archiveEverything()
        try site.cluster.stop()
        let (directory, disk) = (site.cluster.data, site.scratch.file("disk"))
        try giveDisk(directory, disk)
        let finished = try site.tidemark(["recover", "--target", "immediate", "--yes", "--delta"])
        try #require(finished.ending == .exited(0), "\(finished.errors)")
        #expect(!finished.output.contains("Symbolic link"), "\(finished.output)")
        #expect(try Files.readLink(directory + "/pg_wal") == disk)
        let left = try Files.list(disk).sorted()
        #expect(left == ["archive_status", "lost+found", "notes", "others", "tidemark.recovery"])
        #expect(try Files.list(disk + "/archive_status") == [] && Files.list(disk + "/others") == ["file"])
    }

    /// `cp -a` of a copy gives the new one a link to the other's WAL.
    @Test func `a delta recovery into a copy does not touch WAL elsewhere, which may be any other server's`() throws {
        let source = try source()
        let scratch = try Scratch()
        let (directory, disk) = (scratch.file("data"), scratch.file("disk"))
        defer { _ = try? run("/bin/rm", ["-rf", source.space]) }
        let fresh = try recover(source, directory, [])
        try #require(fresh.ending == .exited(0), "\(fresh.errors)")
        try giveDisk(directory, disk)
        let before = try listing(disk)
        let plan = try recover(source, directory, ["--delta", "--dry-run"])
        #expect(plan.output.contains("Symbolic link \"pg_wal\""), "\(plan)")
        #expect(plan.output.contains("will be removed; \"\(disk)\""), "\(plan)")
        let finished = try recover(source, directory, ["--delta"])
        try #require(finished.ending == .exited(0), "\(finished.errors)")
        #expect(finished.output.contains("Symbolic link \"pg_wal\" was removed"), "\(finished.output)")
        #expect(try FileStatus(ofLinkItself: directory + "/pg_wal")?.kind == .directory)
        #expect(try listing(disk) == before)
    }

    @Test func `a delta recovery into a copy is refused while another copy runs with its tablespace`() throws {
        let source = try source()
        let scratch = try Scratch()
        let other = try RecoveredDirectory(source.site)
        defer { _ = try? run("/bin/rm", ["-rf", source.space]) }
        let mapping = ["--tablespace-mapping", "\(source.original)=\(source.space)"]
        let running = try other.recover(["--target", "immediate"] + mapping)
        try #require(running.ending == .exited(0), "\(running.errors)")
        let directory = scratch.file("data")
        try runAsServerUser("/bin/sh", ["-c", "cp -a $0 $1 && rm -f $1/postmaster.pid", other.path, directory])
        let folder = source.space
        let before = try run("/bin/sh", ["-c", "find $0 -type f -exec md5sum {} + | sort", folder]).output
        let refused = try recover(source, directory, ["--delta"])
        #expect(refused.ending == .exited(1), "\(refused)")
        #expect(refused.errors.contains("\"\(other.path)\" has a tablespace there"), "\(refused)")
        #expect(refused.errors.contains("--tablespace-mapping"), "\(refused)")
        let after = try run("/bin/sh", ["-c", "find $0 -type f -exec md5sum {} + | sort", folder]).output
        #expect(after == before)
        #expect(try other.psql("select count(*) from t") == "1000")
    }

    /// A copy made by `cp -a` shares the living cluster's WAL and tablespaces through its links.
    @Test func `a delta recovery into a copy does not touch what the copy's links share with the living cluster`()
        throws
    {
        let source = try source()
        let scratch = try Scratch()
        let (directory, living) = (scratch.file("data"), source.site.cluster.data)
        defer { _ = try? run("/bin/rm", ["-rf", source.space]) }
        let fresh = try recover(source, directory, [])
        try #require(fresh.ending == .exited(0), "\(fresh.errors)")
        let script = """
            rm -rf $0/pg_wal && ln -s $1/pg_wal $0/pg_wal && cd $0/pg_tblspc && for oid in *; do ln -sfn $2 $oid; done
            """
        try runAsServerUser("/bin/sh", ["-c", script, directory, living, source.original])
        let wal = Set(try Files.list(living + "/pg_wal"))
        let space = try listing(source.original)
        let refused = try source.site.tidemark(
            ["recover", "--target", "immediate", "--data-directory", directory, "--yes", "--delta"])
        #expect(refused.ending == .exited(1), "\(refused.errors)")
        #expect(refused.errors.contains("\"\(living)\" has a tablespace there"), "\(refused.errors)")
        #expect(try Files.readLink(directory + "/pg_wal") == living + "/pg_wal")
        _ = try run("/bin/rm", ["-rf", source.space])
        let finished = try recover(source, directory, ["--delta"])
        try #require(finished.ending == .exited(0), "\(finished.errors)")
        #expect(finished.output.contains("Symbolic link \"pg_wal\" was removed"), "\(finished.output)")
        #expect(try wal.isSubset(of: Files.list(living + "/pg_wal")))
        #expect(try listing(source.original) == space)
    }

    /// A copy of a stopped server: nothing runs, and both directories' links lead to the same tablespace.
    @Test(arguments: [["--delta"], ["--keep-old"]])
    func `a recovery of a copy changes nothing in the tablespaces of the directory it was copied from`(
        _ option: [String]
    ) throws {
        let source = try source()
        let scratch = try Scratch()
        let (copy, original) = (scratch.file("data"), source.site.cluster.data)
        defer { _ = try? run("/bin/rm", ["-rf", source.space]) }
        try source.site.cluster.stop()
        try runAsServerUser("/bin/cp", ["-a", original, copy])
        let space = try listing(source.original)
        // The copy is the cluster's own directory, as far as this configuration says.
        let recovery = ["recover", "--target", "latest", "--yes", "--data-directory", copy] + option
        let text = try Files.readText(source.site.configuration).replacing("'\(original)'", with: "'\(copy)'")
        try createDurably(scratch.file("copy.conf"), bytes: Array(text.utf8), mode: 0o644)
        let environment = ["TIDEMARK_CONFIG": scratch.file("copy.conf")]
        let refused = try source.site.tidemark(recovery, environment: environment)
        #expect(refused.ending == .exited(1), "\(refused)")
        #expect(refused.errors.contains("\"\(original)\" has a tablespace there"), "\(refused)")
        #expect(try listing(source.original) == space)
        // What the hint advises, if the tablespace isn't needed; and the place that the copy's own gets.
        if let hint = refused.errors.firstMatch(of: /remove its link: (rm .*)/)?.1 {
            try runAsServerUser("/bin/sh", ["-c", String(hint)])
        }
        let done = try source.site.tidemark(
            recovery + ["--tablespace-mapping", "\(source.original)=\(source.space)"], environment: environment)
        #expect(done.ending == .exited(0), "\(done)")
        #expect(try listing(source.original) == space)
        try source.site.cluster.start()
        #expect(try source.site.cluster.psql("select count(*) from t") == "1000")
    }

    @Test(arguments: [[:], ["TIDEMARK_FAULT": "kernel:openat2=ENOSYS"], ["TIDEMARK_FAULT": "kernel:openat2=EPERM"]])
    func `a mount in a directory that the backup does not have stays in a delta recovery`(
        _ environment: [String: String]
    ) throws {
        try #require(geteuid() == 0, "mounting a small file system needs root")
        let source = try source()
        let scratch = try Scratch()
        let directory = scratch.file("data")
        defer { _ = try? run("/bin/rm", ["-rf", source.space]) }
        let fresh = try recover(source, directory, [])
        try #require(fresh.ending == .exited(0), "\(fresh.errors)")
        let place = directory + "/extra/mounted"
        // In a tablespace, the link leads to a directory of the same file system.
        let folder = try #require(Files.list(source.space).first)
        let (bound, foreign) = (source.space + "/" + folder + "/extra/bound", scratch.file("foreign"))
        try runAsServerUser("/bin/mkdir", ["-p", place, directory + "/stranger", bound, foreign])
        try createDurably(foreign + "/theirs", bytes: [2])
        let binding = try run("/bin/mount", ["--bind", foreign, bound])
        try #require(binding.ending == .exited(0), "\(binding.errors)")
        defer { _ = try? run("/bin/umount", ["-l", bound]) }
        let mounted = try run("/bin/mount", ["-t", "tmpfs", "-o", "size=1m,mode=0777", "tidemark-test", place])
        try #require(mounted.ending == .exited(0), "\(mounted.errors)")
        defer { _ = try? run("/bin/umount", ["-l", place]) }
        try createDurably(place + "/theirs", bytes: [1])
        let finished = try recover(source, directory, ["--delta"], environment: environment)
        try #require(finished.ending == .exited(0), "\(finished.errors)")
        #expect(finished.output.contains("Something is mounted in \"extra\""), "\(finished.output)")
        #expect(finished.output.contains("\(folder)/extra\""), "\(finished.output)")
        #expect(try Files.read(foreign + "/theirs") == [2])
        #expect(try Files.read(place + "/theirs") == [1])
        #expect(try !Files.exists(directory + "/stranger"))
    }

    @Test func `a link of a leftover's name is not followed by clean`() throws {
        let source = try source()
        let scratch = try Scratch()
        let state = source.site.scratch.file("state/scratch")
        let name = "tidemark-drill-999999-1f"
        try runAsServerUser(
            "/bin/sh",
            [
                "-c",
                """
                mkdir -p $0 $1/out/data && echo 'A scratch cluster of tidemark, process 999999.' >$1/out/tidemark-scratch &&
                touch $1/out/data/file && ln -s $1/out $0/\(name)
                """, state, scratch.path,
            ])
        defer { _ = try? run("/bin/rm", [state + "/" + name]) }
        for command in [["clean", "--dry-run"], ["clean"]] {
            let cleaned = try source.site.tidemark(command, expectSuccess: true)
            #expect(!cleaned.output.contains(name), "\(cleaned.output)")
        }
        #expect(try Files.list(scratch.file("out")).sorted() == ["data", "tidemark-scratch"])
        #expect(try Files.list(scratch.file("out/data")) == ["file"])
    }

    @Test func `links that were in the data directory are listed by the plan and at the end`() throws {
        let site = try TestSite(initdb: ["--wal-segsize=1"])
        let (disk, data) = (site.scratch.file("wal"), site.cluster.data)
        try site.cluster.stop()
        let script = """
            mv $0/pg_wal $1 && ln -s $1 $0/pg_wal && mkdir $2 && ln -s $2 $0/log && mv $0/postgresql.conf $2 &&
            ln -s $2/postgresql.conf $0/postgresql.conf
            """
        try runAsServerUser("/bin/sh", ["-c", script, data, disk, site.scratch.file("etc")])
        try site.cluster.start()
        try site.tidemark(["backup"], expectSuccess: true)
        try site.archiveEverything()
        let directory = try RecoveredDirectory(site)
        let words = ["--target", "immediate", "--data-directory", directory.path]
        let plan = try site.tidemark(["plan"] + words, expectSuccess: true)
        let done = try site.tidemark(["recover", "--yes"] + words, expectSuccess: true)
        for (path, target) in [("pg_wal", disk), ("log", site.scratch.file("etc"))] {
            #expect(plan.output.contains("\"\(path)\" was a symbolic link to \"\(target)\"; in"), "\(plan.output)")
            #expect(done.output.contains("\"\(path)\" was a symbolic link to \"\(target)\" and is"), "\(done.output)")
        }
        #expect(plan.output.contains("\"postgresql.conf\" was a symbolic link"), "\(plan.output)")
        #expect(done.output.contains("To put WAL on a separate disk again"), "\(done.output)")
    }
}

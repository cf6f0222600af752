import Glibc
import Platform
import Support
import Testing

/// A directory replaced by a symbolic link after tidemark's check of it, before its use.
private struct Swap: Sendable, CustomTestStringConvertible {
    let testDescription: String
    /// The call that waits meanwhile; `DATA` is the recovered directory's name.
    let call: String
    /// A script for the recovered directory, run beforehand; `$OUT` is the link's target.
    let before: String
    /// Its path, from the recovered directory.
    let path: String
    let arguments: [String]
    /// The command's message where it refuses; nil where it continues.
    let says: String?

    private static let link = "Too many levels of symbolic links"

    static let all =
        [
            Swap(
                testDescription: "a directory of files that are restored", call: "open:DATA/base/", before: "",
                path: "base", arguments: [], says: link),
            Swap(
                testDescription: "a directory of directories that are restored", call: "makeDirectory:DATA/pg_wal/",
                before: "", path: "pg_wal", arguments: [], says: link),
            Swap(
                testDescription: "a file's directory that a delta recovery rewrites", call: "open:DATA/base/",
                before: "for f in base/*/1259; do echo changed >$f; done", path: "base", arguments: ["--delta"],
                says: link),
            Swap(
                testDescription: "a directory out of which a delta recovery removes a file",
                call: "unlink:DATA/pg_subtrans/stranger", before: "touch pg_subtrans/stranger", path: "pg_subtrans",
                arguments: ["--delta"], says: link),
            Swap(
                testDescription: "a directory that a delta recovery removes, before it is opened",
                call: "open:DATA/stranger", before: "mkdir stranger", path: "stranger", arguments: ["--delta"],
                says: nil),
            Swap(
                testDescription: "a directory that a delta recovery removes, while it is emptied",
                call: "unlink:DATA/stranger/", before: "mkdir stranger; touch stranger/theirs", path: "stranger",
                arguments: ["--delta"], says: nil),
            Swap(
                testDescription: "a directory above one that a delta recovery removes",
                call: "unlink:DATA/pg_dynshmem/stranger/",
                before: "mkdir pg_dynshmem/stranger; touch pg_dynshmem/stranger/theirs", path: "pg_dynshmem",
                arguments: ["--delta"], says: link),
            Swap(
                testDescription: "the directory of pg_control", call: "rename:DATA/global/.pg_control", before: "",
                path: "global", arguments: [], says: link),
            Swap(
                testDescription: "the directory that is kept under another name", call: "rename:DATA", before: "",
                path: ".", arguments: ["--keep-old"], says: "Something else has been put in its place in the meantime"),
            Swap(
                testDescription: "the directory that a delta recovery is about to prepare",
                call: "unlink:DATA/global/pg_control", before: "", path: "global", arguments: ["--delta"], says: link),
        ]
        + ["ENOSYS", "EPERM"].map { code in
            Swap(
                testDescription: "a directory of files, where openat2 fails with \(code)",
                call: "kernel:openat2=\(code),open:DATA/base/", before: "", path: "base", arguments: [], says: link)
        }
}

@Suite(.serialized) struct SwappedPlaceTests {
    private static let site = TestSite.sharedWithBackup()

    private func listing(_ directory: String) throws -> String {
        let script = "find $0 -printf '%P %y %s %m %T@\\n' | sort; find $0 -type f -exec md5sum {} + | sort"
        return try run("/bin/sh", ["-c", script, directory]).output
    }

    @Test(arguments: Swap.all)
    private func `a link that comes to a directory's place is not followed`(_ swap: Swap) throws {
        let site = try Self.site.get()
        let scratch = try Scratch()
        let (data, out) = (scratch.file("data"), scratch.file("out"))
        let arguments = ["recover", "--target", "immediate", "--data-directory", data, "--yes"]
        if !swap.arguments.isEmpty { try site.tidemark(arguments, expectSuccess: true) }
        try runAsServerUser(
            "/bin/bash", ["-c", "set -e; mkdir -p $DATA $OUT; cd $DATA; \(swap.before)"],
            environment: ["DATA": data, "OUT": out])
        // The link's target has the same names, and something more.
        let gate = try Gate(at: swap.call.replacing("DATA", with: Files.name(scratch.path) + "/data"))
        let finished = try gate.run(
            Executables.tidemark(), arguments + swap.arguments,
            environment: ["TIDEMARK_CONFIG": site.configuration, "DATA": data, "OUT": out, "THERE": swap.path],
            meanwhile: """
                place=$(realpath -m $DATA/$THERE)
                cp -a $place/. $OUT/ && touch $OUT/theirs && find $OUT -type d -exec touch {}/foreign ';'
                (find $OUT -printf '%P %y %s %m %T@\\n' | sort; find $OUT -type f -exec md5sum {} + | sort) >$OUT.before
                mv $place $DATA.away && ln -s $OUT $place
                """)
        #expect(finished.ending == .exited(swap.says == nil ? 0 : 1), "\(finished.errors)")
        if let says = swap.says { #expect(finished.errors.contains(says), "\(finished.errors)") }
        #expect(try listing(out) == Files.readText(out + ".before"))
        #expect(try FileStatus(ofLinkItself: swap.path == "." ? data : data + "/" + swap.path)?.kind != .directory)
    }

    /// A file that a dead process of another host has left.
    private static let leftover = ".x.00000000-1.1.tmp"

    @Test(arguments: [
        "openDirectory:state/main/folder", "stat:main/folder/\(leftover)", "unlink:main/folder/\(leftover)",
    ])
    func `clean removes nothing behind a link that comes to a folder's place`(_ call: String) throws {
        let site = try Self.site.get()
        let scratch = try Scratch()
        let folder = site.scratch.file("state/main/folder")
        try runAsServerUser(
            "/bin/bash",
            [
                "-c",
                """
                mkdir -p $FOLDER $OUT; touch -d '3 days ago' {$FOLDER,$OUT}/\(Self.leftover)
                """,
            ], environment: ["FOLDER": folder, "OUT": scratch.file("out")])
        defer { _ = try? run("/bin/rm", ["-rf", folder, folder + ".away"]) }
        let finished = try Gate(at: call).run(
            Executables.tidemark(), ["clean"],
            environment: ["TIDEMARK_CONFIG": site.configuration, "FOLDER": folder, "OUT": scratch.file("out")],
            meanwhile: "mv $FOLDER $FOLDER.away && ln -s $OUT $FOLDER")
        #expect(finished.ending == .exited(0), "\(finished.errors)")
        #expect(try Files.list(scratch.file("out")) == [Self.leftover])
    }

    @Test(arguments: ["open:999999-1f/tidemark-scratch", "lock:tidemark-scratch", "unlink:999999-1f/data/file"])
    func `clean removes no scratch cluster behind a link that comes to its place`(_ call: String) throws {
        let site = try Self.site.get()
        let scratch = try Scratch()
        let place = site.scratch.file("state/scratch/tidemark-drill-999999-1f")
        try runAsServerUser(
            "/bin/bash",
            [
                "-c",
                """
                for d in $PLACE $OUT; do
                    mkdir -p $d/data; touch $d/data/file
                    echo 'A scratch cluster of tidemark, process 999999.' >$d/tidemark-scratch
                done
                """,
            ], environment: ["PLACE": place, "OUT": scratch.file("out")])
        defer { _ = try? run("/bin/rm", ["-rf", place, place + ".away"]) }
        _ = try Gate(at: call).run(
            Executables.tidemark(), ["clean"],
            environment: ["TIDEMARK_CONFIG": site.configuration, "PLACE": place, "OUT": scratch.file("out")],
            meanwhile: "mv $PLACE $PLACE.away && ln -s $OUT $PLACE")
        #expect(try Files.list(scratch.file("out")).sorted() == ["data", "tidemark-scratch"])
        #expect(try Files.list(scratch.file("out/data")) == ["file"])
    }

    @Test(arguments: [false, true])
    func `clean removes no scratch directory that a process is about to mark`(isAlive: Bool) throws {
        let site = try Self.site.get()
        let process = isAlive ? getpid() : 999_999
        let place = site.scratch.file("state/scratch/tidemark-drill-\(process)-2f")
        try runAsServerUser(
            "/bin/sh", ["-c", "mkdir -p \"$1/data\" && : >\"$1/tidemark-scratch\"", "sh", place], expectSuccess: true)
        defer { _ = try? run("/bin/rm", ["-rf", place]) }
        let dry = try site.tidemark(["clean", "--dry-run"], expectSuccess: true)
        #expect(dry.output.contains("tidemark-drill-\(process)-2f") != isAlive, "\(dry)")
        let finished = try site.tidemark(["clean"], expectSuccess: true)
        #expect(try Files.exists(place) == isAlive, "\(finished)")
    }

    /// A repository with two backups, and a copy of it beside it.
    private static let removable = TestSite.shared {
        let site = try TestSite(initdb: ["--wal-segsize=1"])
        for _ in 0..<2 {
            try site.tidemark(["backup"], expectSuccess: true)
            try site.archiveEverything()
        }
        try runAsServerUser("/bin/cp", ["-a", site.repository, site.repository + ".kept"])
        return site
    }

    @Test(arguments: [
        (["expire", "--keep-full", "1"], "pack"), (["expire", "--keep-full", "1"], "pack/LABEL"),
        (["expire", "--keep-full", "1"], "backup/LABEL"), (["remove", "LABEL", "--yes"], "pack"),
        (["remove", "LABEL", "--yes"], "pack/LABEL"), (["remove", "LABEL", "--yes"], "backup"),
        (["expire", "--keep-full", "1"], "wal"),
    ])
    func `what is removed from a repository is what was listed`(_ arguments: [String], _ path: String) throws {
        let site = try Self.removable.get()
        // The catalog's entry is removed with it.
        try runAsServerUser(
            "/bin/sh",
            [
                "-c", "rm -rf \"$1\" \"$2\" && cp -a \"$1.kept\" \"$1\"", "sh", site.repository,
                site.scratch.file("state"),
            ])
        let label = try #require(site.backupLabels().min())
        let root = try #require(Files.list(site.repository + "/main").first { $0.hasPrefix("1") })
        let there = site.repository + "/main/" + root + "/" + path.replacing("LABEL", with: label)
        let scratch = try Scratch()
        try runAsServerUser("/bin/mkdir", [scratch.file("out")])
        let call = path.hasPrefix("pack") ? "unlink:/pack/" : path == "wal" ? "unlink:/wal/" : "unlink:/backup/"
        let finished = try Gate(at: call).run(
            Executables.tidemark(), arguments.map { $0 == "LABEL" ? label : $0 },
            environment: ["TIDEMARK_CONFIG": site.configuration, "THERE": there, "OUT": scratch.file("out")],
            meanwhile: """
                cp -a $THERE/. $OUT/; find $OUT | sort >$OUT.before; mv $THERE $OUT.away && ln -s $OUT $THERE
                """)
        let now = try run("/bin/sh", ["-c", "find $0 | sort", scratch.file("out")]).output
        #expect(try now == Files.readText(scratch.file("out.before")), "\(finished.errors)")
    }
}

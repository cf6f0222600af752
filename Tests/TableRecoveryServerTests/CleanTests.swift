import Glibc
import Platform
import Support
import Testing

/// `tidemark clean` removes what killed commands left, and nothing else.
@Suite(.serialized) struct CleanTests {
    /// Starts `tidemark`, which the gate holds once it has started the server of its scratch cluster.
    private func start(_ shop: Shop, _ arguments: [String], until gate: Gate) throws -> pid_t {
        let program = try Executables.directory.get() + "/tidemark-main"
        let scratch = shop.site.scratch.file("state") + "/scratch"
        let output = shop.site.scratch.file("output-\(arguments.count)")
        let finished = try runAsServerUser(
            "/bin/bash", ["-c", "out=$1; shift; \"$@\" >\"$out\" 2>&1 & echo $!", "bash", output, program] + arguments,
            environment: gate.environment.merging(["TIDEMARK_CONFIG": shop.site.configuration]) { $1 })
        let process = try #require(pid_t(finished.output.filter(\.isNumber)))
        try shop.cluster.wait(for: "the server of a scratch cluster: \(try Files.readText(output))") {
            try gate.isReached
                && Files.listIfPresent(scratch).contains {
                    try $0.contains("-\(process)-") && Files.exists("\(scratch)/\($0)/data/postmaster.pid")
                }
        }
        return process
    }

    private func servers(_ shop: Shop) throws -> [Substring] {
        try run("/usr/bin/pgrep", ["-f", "postgres .*-D \(shop.site.scratch.file("state"))/scratch"]).output
            .split(separator: "\n")
    }

    @Test func `clean removes leftovers of killed commands, servers included, and nothing of others`() throws {
        let shop = try Shop(
            "create table orders as select n as id, repeat('x', 200) as t from generate_series(1, 2000) n")
        try shop.backup()
        for round in 1...8 {
            try shop.sql("update orders set t = t || '\(round)'")
            try shop.site.archiveEverything()
        }
        let scratch = shop.site.scratch.file("state") + "/scratch"
        let table = ["recover-table", "-t", "shop.public.orders", "--target", "latest"]
        // Killed: a table recovery and a drill. Alive, but held: a table recovery.
        func gate() throws -> Gate { try Gate(at: "open:/scratch/*postmaster.pid") }
        let killed = try [
            start(shop, table + ["--into-table=public.lost"], until: gate()), start(shop, ["drill"], until: gate()),
        ]
        let held = try gate()
        let alive = try start(shop, table + ["--into-table=public.found"], until: held)
        for process in killed { try runAsServerUser("/bin/kill", ["-s", "KILL", "\(process)"]) }
        // Killed before the marker was written; other directories of a similar name; another file.
        try runAsServerUser(
            "/bin/sh",
            [
                "-c",
                """
                cd \(scratch) && mkdir tidemark-table-4000001-1a tidemark-table-4000001-1a/socket tidemark-table-4000002-1b \
                    tidemark-table-notes && echo keep | tee tidemark-table-4000002-1b/mine tidemark-table-notes/mine mine
                """,
            ])
        // Temporaries in the repository, of a backup that was killed: one for each file its threads were writing.
        try shop.site.tidemark(["backup"], environment: ["TIDEMARK_FAULT": "rename:2=kill"])
        // The archiver's temporaries went when it stored the segments that the backup waited for.
        try shop.site.archiveEverything()
        func temporaries() throws -> Int {
            try run("/usr/bin/find", [shop.site.repository, "-name", ".*.tmp"]).output.split(separator: "\n").count
        }
        let unfinished = try temporaries()
        #expect(unfinished >= 1)

        let before = try Files.list(scratch).sorted()
        #expect(before.count == 7, "\(before)")
        // What other tests' killed commands left in the common directory is theirs.
        let own = shop.site.scratch.file("tmp")
        try runAsServerUser("/bin/mkdir", [own])
        func clean(_ arguments: [String] = []) throws -> Finished {
            try shop.site.tidemark(["clean"] + arguments, environment: ["TMPDIR": own], expectSuccess: true)
        }
        // So are their socket directories, which are always in /tmp.
        func lines(_ finished: Finished) -> [Substring] {
            finished.output.split(separator: "\n").filter {
                !$0.contains("the socket directory") && !$0.contains("/.tidemark-manifest.")
            }
        }
        let told = lines(try clean(["--dry-run"]))
        #expect(told.count == 3 + unfinished, "\(told)")
        #expect(try Files.list(scratch).sorted() == before)
        let cleaned = lines(try clean())
        #expect(
            cleaned.map(String.init) == told.map { String($0).replacing("Would remove", with: "Removed") }, "\(cleaned)"
        )
        #expect(try temporaries() == 0)
        let left = try Files.list(scratch).sorted()
        #expect(left.count == 4)
        #expect(left.contains { $0.hasPrefix("tidemark-table-\(alive)-") })
        #expect(Set(left).isSuperset(of: ["mine", "tidemark-table-notes", "tidemark-table-4000002-1b"]), "\(left)")
        // A process that a server has just forked looks like the server for a moment.
        try shop.cluster.wait(for: "the living one's server to be the only one") { try servers(shop).count == 1 }
        #expect(lines(try clean()).allSatisfy { $0 == "There is nothing to clean." })

        // The living one continues undisturbed.
        try held.open()
        try shop.cluster.wait(for: "the recovery that had been stopped") { try Files.list(scratch).count == 3 }
        #expect(try shop.fingerprint("found") == shop.fingerprint("orders"))
        #expect(try shop.sql("select to_regclass('lost') is null") == "t")
        try shop.cluster.wait(for: "no server to be left") { try servers(shop).isEmpty }
    }

    /// System V's shared memory outlives every process: nothing else would ever remove it.
    @Test func `the shared memory of a killed scratch server goes with it, and no other server's`() throws {
        let shop = try Shop("create table orders as select 1 id")
        try shop.backup()
        func memory(_ data: String) throws -> String {
            let lines = try Files.readText(data + "/postmaster.pid")
                .split(separator: "\n", omittingEmptySubsequences: false)
            return String(try #require(lines[6].split(separator: " ").last))
        }
        func exists(_ identifier: String) throws -> Bool {
            try run("/usr/bin/ipcs", ["-m"]).output.split(separator: "\n")
                .contains { $0.split(separator: " ").dropFirst().first == identifier[...] }
        }
        let scratch = shop.site.scratch.file("state") + "/scratch"
        for isForeign in [false, true] {
            let process = try start(shop, ["drill"], until: Gate(at: "open:/scratch/*postmaster.pid"))
            let directory = try #require(Files.list(scratch).first { $0.contains("-\(process)-") })
            let data = "\(scratch)/\(directory)/data"
            try shop.cluster.wait(for: "the server's memory") {
                try Files.readText(data + "/postmaster.pid").split(separator: "\n", omittingEmptySubsequences: false)
                    .count > 7
            }
            let own = try memory(data)
            #expect(try exists(own))
            try runAsServerUser("/bin/kill", ["-s", "KILL", "\(process)"])
            let processes = try servers(shop).map(String.init)
            _ = try runAsServerUser("/bin/kill", ["-s", "KILL"] + processes, expectSuccess: false)
            try shop.cluster.wait(for: "the servers to be gone") { try servers(shop).isEmpty }
            #expect(try exists(own))
            var other: String?
            if isForeign {
                // Another's that nobody is attached to either, under a name that belongs to this one.
                let killed = try TestCluster(.v15)
                other = try memory(killed.data)
                let postmaster = try Files.readText(killed.data + "/postmaster.pid").split(separator: "\n")[0]
                try runAsServerUser("/bin/kill", ["-s", "KILL", String(postmaster)])
                try shop.cluster.wait(for: "nobody to be attached") {
                    try run("/usr/bin/pgrep", ["-f", "-D \(killed.data)"]).output.isEmpty
                }
                let text = try Files.readText(data + "/postmaster.pid").replacing(
                    " \(own)\n", with: " \(other ?? "")\n")
                try replaceDurably(data + "/postmaster.pid", bytes: Array(text.utf8), mode: 0o644)
                try shop.site.tidemark(["clean"], expectSuccess: true)
                #expect(try exists(other ?? ""))
                try runAsServerUser("/usr/bin/ipcrm", ["-m", other ?? ""])
                try runAsServerUser("/usr/bin/ipcrm", ["-m", own])
            } else {
                try shop.site.tidemark(["clean"], expectSuccess: true)
                #expect(try !exists(own))
            }
            #expect(try Files.list(scratch).isEmpty)
        }
    }

    @Test func `the temporary manifest of a killed command is found whatever TMPDIR says`() throws {
        let site = try TestSite(initdb: ["--wal-segsize=1"])
        let own = site.scratch.file("tmp")
        try runAsServerUser("/bin/mkdir", [own])
        let killed = try site.tidemark(
            ["backup"], environment: ["TMPDIR": "/var/tmp", "TIDEMARK_FAULT": "unlink:/.tidemark-manifest.=kill"])
        let name = killed.errors.firstMatch(of: /\/var\/tmp\/\.tidemark-manifest\.\S+/)?.0
        let left = String(try #require(name, "\(killed)"))
        try #require(try Files.exists(left))
        try site.tidemark(["clean"], environment: ["TMPDIR": own], expectSuccess: true)
        #expect(try !Files.exists(left))
    }

    /// The path of a socket is limited, so that a copy with a long path has a directory for its socket below /tmp.
    @Test func `the socket directory of a copy is removed once the copy is gone`() throws {
        let site = try TestSite(initdb: ["--wal-segsize=1"])
        try site.tidemark(["backup"], expectSuccess: true)
        try site.archiveEverything()
        let copy = site.scratch.file(String(repeating: "x", count: 90))
        let done = try site.tidemark(
            ["recover", "--target", "immediate", "--data-directory", copy, "--start", "--yes"], expectSuccess: true)
        let socket = String(
            try #require(done.output.firstMatch(of: /host=(\/tmp\/tidemark-copy-[0-9a-f]+)/)?.1, "\(done)"))
        try runAsServerUser(site.cluster.server.bin + "/pg_ctl", ["-D", copy, "-m", "fast", "-w", "-s", "stop"])
        // It may be started again.
        let kept = try site.tidemark(["clean"], expectSuccess: true)
        #expect(!kept.output.contains(socket), "\(kept)")
        #expect(try Files.exists(socket))
        try Files.removeTree(copy)
        let looked = try site.tidemark(["clean", "--dry-run"], expectSuccess: true)
        #expect(looked.output.contains("Would remove the socket directory \"\(socket)\""), "\(looked)")
        #expect(try Files.exists(socket))
        try site.tidemark(["clean"], expectSuccess: true)
        #expect(try !Files.exists(socket))
    }
}

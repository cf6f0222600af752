import Glibc
import Platform
import Support
import Testing

/// `recover` killed at each step that changes names on disk, and two of them at once.
@Suite struct KilledStepsServerTests {
    /// In place, with a tablespace, so that everything is renamed that can be.
    @Test func `killed at any step, a recovery continues, and sets the old directory aside only once`() throws {
        let site = try TestSite(initdb: ["--wal-segsize=1"])
        let place = site.scratch.file("fast")
        try runAsServerUser("/bin/mkdir", [place])
        try site.cluster.psql("create tablespace fast location '\(place)'")
        try site.cluster.psql("create table t tablespace fast as select generate_series(1, 1000) n")
        try site.tidemark(["backup"], expectSuccess: true)
        try site.cluster.psql("insert into t values (1001)")
        try site.archiveEverything()
        try site.cluster.stop()
        let states = site.scratch.file("state/main/recover")
        let parent = Files.parent(site.cluster.data)
        func setAside(in directory: String) throws -> [String] {
            try Files.list(directory).filter { $0.contains(".before-") }.map { directory + "/" + $0 }
        }
        var resumed = 0
        // Every step in the long tests, else every third.
        let stride = getenv("TIDEMARK_SOAK") == nil ? 3 : 1
        for (first, kind) in ["fsync", "rename", "unlink", "makeDirectory"].enumerated() {
            for count in 0... {
                let number = 1 + first % stride + count * stride
                let step = "\(kind):\(number)"
                for old in try setAside(in: parent) + setAside(in: place) { try Files.removeTree(old) }
                let killed = try site.tidemark(
                    ["recover", "--target", "latest", "--yes"], environment: ["TIDEMARK_FAULT": "\(step)=kill"])
                if killed.ending == .exited(0) {
                    #expect(number > 3, "\(step): \(killed.errors)")
                    break
                }
                try #require(killed.errors.contains("fault: killed"), "\(step): \(killed.errors)")
                if try Files.listIfPresent(states).contains(where: { $0.hasSuffix(".json") && !$0.hasPrefix(".") }) {
                    // It asks again while the old directory is still there: a server may have run on it meanwhile.
                    let finished = try site.tidemark(["recover", "--resume", "--yes"])
                    try #require(finished.ending == .exited(0), "\(killed.errors)\n\(finished.errors)")
                    let old = try (setAside(in: parent).count, setAside(in: place).count)
                    #expect(old == (1, 1), "\(killed.errors)")
                    resumed += 1
                } else {
                    // It changes nothing before it has said what it will do.
                    #expect(try setAside(in: parent).count == setAside(in: place).count, "\(killed.errors)")
                }
                let names = try Files.list(site.cluster.data)
                #expect(names.contains("recovery.signal") || !names.contains("backup_label"), "\(killed.errors)")
                #expect(!names.contains { $0.hasSuffix(".tmp") || $0 == "tidemark.restoring" }, "\(killed.errors)")
            }
        }
        #expect(resumed > 20 / stride, "\(resumed)")
        try site.cluster.start()
        #expect(try site.cluster.psql("select count(*) from t") == "1001")
    }

    @Test func `two recoveries into the same directory don't run at the same time`() throws {
        let site = try TestSite(initdb: ["--wal-segsize=1"])
        try site.cluster.psql("create table t as select 1 n")
        try site.tidemark(["backup"], expectSuccess: true)
        try site.archiveEverything()
        let directory = try RecoveredDirectory(site)
        let output = site.scratch.file("recover.log")
        let gate = try Gate(at: "write:60")
        let first = try directory.launch(
            ["--target", "latest", "--start"], log: output, environment: gate.environment)
        try gate.waitUntilReached()
        for arguments in [["--target", "latest", "--yes"], ["--resume"]] {
            let second = try site.tidemark(["recover", "--data-directory", directory.path] + arguments)
            #expect(second.ending == .exited(1))
            let said = "another process recovers into directory \"\(directory.path)\""
            #expect(second.errors.contains(said), "\(arguments): \(second.errors)")
            let progress = try Files.readText(output)
            #expect(!RecoveredDirectory.hasEnded(first), "\(arguments): \(progress)")
        }
        // Its claim dies with it.
        kill(first, SIGKILL)
        try site.cluster.wait(for: "the first one's end") { RecoveredDirectory.hasEnded(first) }
        let finished = try site.tidemark(["recover", "--resume", "--data-directory", directory.path])
        #expect(finished.ending == .exited(0), "\(finished.errors)")
        #expect(try directory.psql("select n from t") == "1")
    }
}

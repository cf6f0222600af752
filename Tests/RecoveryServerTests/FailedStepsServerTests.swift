import Glibc
import Platform
import Support
import Testing

/// A recovery with several files and directories that a resumed one needs.
private struct Stepped: Sendable, CustomTestStringConvertible {
    let name: String
    let arguments: [String]
    /// Whether an older directory is in the way.
    var hasOld = false
    let signal: String
    var testDescription: String { name }
}

private let stepped = [
    Stepped(name: "--keep-old", arguments: ["--keep-old"], hasOld: true, signal: "recovery.signal"),
    Stepped(name: "--standby", arguments: ["--standby"], signal: "standby.signal"),
    Stepped(
        name: "--standby --keep-old", arguments: ["--standby", "--keep-old"], hasOld: true, signal: "standby.signal"),
]

/// `recover` beside the cluster, killed or without space at the calls that change what is on disk.
@Suite struct FailedStepsServerTests {
    @Test(arguments: stepped)
    fileprivate func `whatever step fails, the old directory is kept, and the recovery can be continued`(
        _ one: Stepped
    ) throws {
        let site = try TestSite(initdb: ["--wal-segsize=1"])
        try site.cluster.psql("create table t as select generate_series(1, 1000) n")
        try site.tidemark(["backup"], expectSuccess: true)
        try site.cluster.psql("insert into t values (1001)")
        try site.archiveEverything()
        let scratch = try Scratch()
        if geteuid() == 0 { _ = try run("/bin/chown", ["postgres:", scratch.path]) }
        let copy = scratch.file("copy")
        let states = site.scratch.file("state/main/recover")
        let command = ["recover", "--target", "latest", "--data-directory", copy, "--yes"] + one.arguments

        /// The directories that hold what was there.
        func kept() throws -> [String] {
            try Files.list(scratch.path).filter { try Files.exists(scratch.file("\($0)/mine")) }
        }
        func begin() throws {
            for name in try Files.list(scratch.path) { try Files.removeTree(scratch.file(name)) }
            guard one.hasOld else { return }
            let script = "mkdir -p -m 700 $0/pg_tblspc && echo 15 >$0/PG_VERSION && echo 1 >$0/mine && chmod 700 $0"
            try runAsServerUser("/bin/sh", ["-c", script, copy])
        }
        func check(_ said: String) throws {
            let names = try Files.list(copy)
            #expect(names.contains(one.signal) && names.contains("backup_label"), "\(said): \(names)")
            #expect(names.count { $0.hasSuffix(".signal") } == 1, "\(said): \(names)")
            #expect(!names.contains { $0.hasSuffix(".tmp") || $0 == "tidemark.restoring" }, "\(said): \(names)")
            let kept = try kept()
            #expect(kept.count == (one.hasOld ? 1 : 0), "\(said): \(kept)")
            #expect(kept.allSatisfy { $0.contains(".before-") }, "\(said): \(kept)")
        }

        try begin()
        let traced = try site.tidemark(command, environment: ["TIDEMARK_FAULT": "trace"])
        try #require(traced.ending == .exited(0), "\(traced.errors)")
        try check("without a fault")
        let isSoak = getenv("TIDEMARK_SOAK") != nil
        var struck = 0
        for kind in ["rename", "makeDirectory", "unlink", "write", "fsync"] {
            let calls = traced.errors.split(separator: "\n").count { $0.hasPrefix("trace: \(kind) ") }
            for (turn, effect) in ["kill", "ENOSPC"].enumerated() {
                let stride = isSoak ? 1 : max(1, calls / 3)
                for call in Swift.stride(from: 1 + turn % stride, through: calls, by: stride) {
                    try begin()
                    let fault = "\(kind):\(call)=\(effect)"
                    let failed = try site.tidemark(command, environment: ["TIDEMARK_FAULT": fault])
                    let said = "\(fault): \(failed.ending) \(failed.errors)"
                    if failed.errors.contains("fault: ") { struck += 1 }
                    #expect(try kept().count == (one.hasOld ? 1 : 0), "\(said)")
                    if failed.ending == .exited(0) {
                        try check(said)
                        continue
                    }
                    // Behind runuser, who was killed seems to have exited with 128 more.
                    let ends: [Finished.TerminationStatus] =
                        effect == "kill" ? [.signalled(SIGKILL), .exited(137)] : [.exited(1)]
                    #expect(ends.contains(failed.ending), "\(said)")
                    let isUnderWay = try Files.listIfPresent(states).contains {
                        $0.hasSuffix(".json") && !$0.hasPrefix(".")
                    }
                    if try !isUnderWay && Files.exists("\(copy)/\(one.signal)") {
                        // Only the record of the job is missing.
                        try check(said)
                        continue
                    }
                    let again =
                        isUnderWay
                        ? try site.tidemark(["recover", "--resume", "--data-directory", copy, "--yes"])
                        : try site.tidemark(command)
                    try #require(again.ending == .exited(0), "\(said)\n\(again.errors)")
                    try check(said)
                }
            }
        }
        #expect(struck > 10, "\(struck)")
        let control = site.cluster.server.bin + "/pg_ctl"
        try runAsServerUser(control, ["-D", copy, "-w", "-s", "-l", scratch.file("log"), "start"])
        defer { _ = try? runAsServerUser(control, ["-D", copy, "-m", "immediate", "-w", "-s", "stop"]) }
        try site.cluster.wait(for: "the last row") {
            try runAsServerUser(
                site.cluster.server.bin + "/psql",
                ["-h", copy, "-U", "postgres", "-d", "postgres", "-XAtqc", "select count(*) from t"],
                expectSuccess: false
            ).output.trimmed == "1001"
        }
        try site.tidemark(["verify"], expectSuccess: true)
    }
}

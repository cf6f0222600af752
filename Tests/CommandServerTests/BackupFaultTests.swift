import Glibc
import Platform
import Support
import Testing

/// The system calls of a backup fail, are cut short, or are the last one of a killed process: every one that decides
/// what is durable, and a sample of all others (each, and in every way, in the long tests).
@Suite struct BackupFaultTests {
    private static let effects = ["EIO", "ENOSPC", "EACCES", "short", "kill"]
    private static let deciding = ["fsync", "rename", "makeDirectory", "lock", "unlink"]
    private static let isSoak = getenv("TIDEMARK_SOAK") != nil
    /// The faults are distributed over this many sites: a backup of a small cluster mostly waits.
    private static let shares = isSoak ? 8 : 1

    @Test(arguments: 0..<shares) func `a backup survives a fault in any of its calls`(share: Int) throws {
        let site = try TestSite(initdb: ["--data-checksums"])
        try site.cluster.psql("create table t as select n, md5(n::text) from generate_series(1, 20000) n")
        let traced = try site.tidemark(
            ["backup", "--jobs", "1"], environment: ["TIDEMARK_FAULT": "trace"], expectSuccess: true)
        var counts: [String: Int] = [:]
        for line in traced.errors.split(separator: "\n") where line.hasPrefix("trace: ") {
            counts[String(line.dropFirst(7).prefix { $0 != " " }), default: 0] += 1
        }
        let calls = counts.values.reduce(0, +)
        try #require(calls > 1000 && counts["fsync", default: 0] > 3, "\(counts)")

        var places: [String] = []
        for call in Self.deciding { places += (1...max(counts[call, default: 0], 1)).map { "\(call):\($0)" } }
        places += stride(from: 1, through: calls, by: Self.isSoak ? 1 : calls / 20).map { "any:\($0)" }
        let faults = (0..<(Self.isSoak ? Self.effects.count : 1)).flatMap { round in
            places.enumerated().map { ($1, Self.effects[($0 + round) % Self.effects.count]) }
        }
        var (struck, tried) = (0, 0)
        var complete = try site.backupLabels()
        for (number, (place, effect)) in faults.enumerated() where number % Self.shares == share {
            tried += 1
            let fault = "\(place)=\(effect)"
            let finished = try site.tidemark(["backup", "--jobs", "1"], environment: ["TIDEMARK_FAULT": fault])
            if finished.errors.contains("fault: ") { struck += 1 }
            let now = try site.backupLabels()
            let said = "\(fault): \(finished.ending) \(finished.errors)"
            switch finished.ending {
            case .exited(0): #expect(now.count == complete.count + 1, "\(said)")
            case .exited(1): #expect(effect != "kill" && finished.errors.contains("ERROR:"), "\(said)")
            case .signalled(SIGKILL), .exited(137): #expect(effect == "kill", "\(said)")
            default: Issue.record("\(said)")
            }
            // A complete backup stays one, whatever happens to a later one.
            #expect(complete.isSubset(of: now), "\(said)")
            complete = now
            if tried % 50 == 0 {
                try site.tidemark(["expire", "--keep-full", "2"], expectSuccess: true)
                complete = try site.backupLabels()
            }
        }
        #expect(struck > tried / 2, "only \(struck) of \(tried) faults struck")
        // A backup listed as complete is complete, a backup without faults succeeds, and leftovers are removed.
        try site.tidemark(["verify"], expectSuccess: true)
        try site.tidemark(["backup"], expectSuccess: true)
        try site.tidemark(["expire"], expectSuccess: true)
        try site.cluster.waitForArchiver()
        let left = try run("/usr/bin/find", [site.repository, "-name", ".*.tmp"]).output
        #expect(left == "")
        try site.tidemark(["verify"], expectSuccess: true)
    }
}

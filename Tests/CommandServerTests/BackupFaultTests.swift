import Glibc
import Platform
import Support
import Testing

/// The system calls of a backup fail, are cut short, or are the last one of a killed process: every one that decides what
/// is durable, and every so many-th of all of them (each, in the long tests).
@Suite(.serialized) struct BackupFaultTests {
    private static let effects = ["EIO", "ENOSPC", "EACCES", "short", "kill"]
    private static let deciding = ["fsync", "rename", "makeDirectory", "lock", "unlink"]

    @Test func `a backup survives a fault in any of its calls`() throws {
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

        var faults: [String] = []
        for call in Self.deciding { faults += (1...max(counts[call, default: 0], 1)).map { "\(call):\($0)" } }
        let step = getenv("TIDEMARK_SOAK") == nil ? calls / 20 : 1
        faults += stride(from: 1, through: calls, by: step).map { "any:\($0)" }
        var struck = 0
        var complete = try labels(site)
        for (number, place) in faults.enumerated() {
            let effect = Self.effects[number % Self.effects.count]
            let fault = "\(place)=\(effect)"
            let finished = try site.tidemark(["backup", "--jobs", "1"], environment: ["TIDEMARK_FAULT": fault])
            if finished.errors.contains("fault: ") { struck += 1 }
            let now = try labels(site)
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
        }
        #expect(struck > faults.count / 2, "only \(struck) of \(faults.count) faults struck")
        // What is called complete is complete, an unharmed backup succeeds, and what the others left is reclaimed.
        try site.tidemark(["verify"], expectSuccess: true)
        try site.tidemark(["backup"], expectSuccess: true)
        try site.tidemark(["expire"], expectSuccess: true)
        let left = try run("/usr/bin/find", [site.repository, "-name", ".*.tmp"]).output
        #expect(left == "")
        try site.tidemark(["verify"], expectSuccess: true)
    }

    private func labels(_ site: TestSite) throws -> Set<String> {
        let text = try site.tidemark(["list", "--json"], expectSuccess: true).output
        return Set(text.split(separator: "\"label\"").dropFirst().map { String($0.split(separator: "\"")[1]) })
    }
}

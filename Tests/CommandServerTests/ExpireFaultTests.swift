import Glibc
import Platform
import Support
import Testing

/// The system calls of an expiration fail, or are the last one of a killed process: objects to be kept are never
/// harmed, and the next expiration finishes the work.
@Suite struct ExpireFaultTests {
    private static let effects = ["kill", "EIO", "EACCES"]

    @Test func `an expiration survives a fault in any of its calls`() throws {
        let isSoak = getenv("TIDEMARK_SOAK") != nil
        let site = try TestSite(initdb: ["--wal-segsize=1"])
        for round in 1...3 {
            try site.cluster.psql("create table t\(round) as select n, md5(n::text) from generate_series(1, 10000) n")
            try site.tidemark(["backup", "--no-expire"], expectSuccess: true)
        }
        try site.archiveEverything()
        // Every fault meets the same repository and the same catalog.
        let original = site.scratch.file("original")
        let folders = ["repository", "state"].map(site.scratch.file)
        try runAsServerUser("/bin/sh", ["-c", "mkdir \"$0\" && cp -a \"$@\" \"$0\"", original] + folders)
        func putBack() throws {
            try runAsServerUser("/bin/sh", ["-c", "rm -rf \"$@\" && cp -a \"$0\"/* \"$0\"/..", original] + folders)
        }
        let expire = ["expire", "--keep-full", "1"]
        let traced = try site.tidemark(expire, environment: ["TIDEMARK_FAULT": "trace"], expectSuccess: true)
        let calls = traced.errors.split(separator: "\n").count { $0.hasPrefix("trace: ") }
        let kept = try site.backupLabels()
        try #require(calls > 50 && kept.count == 1, "\(calls) \(kept)")

        // The very last ones may be missing in another run.
        let places = Array(stride(from: 1, through: calls - 3, by: isSoak ? 1 : calls / 20))
        for (number, call) in places.enumerated() {
            try putBack()
            let effect = Self.effects[number % Self.effects.count]
            let finished = try site.tidemark(expire, environment: ["TIDEMARK_FAULT": "any:\(call)=\(effect)"])
            let said = "\(call) \(effect): \(finished.ending) \(finished.errors)"
            #expect(finished.errors.contains("fault: "), "\(said)")
            switch finished.ending {
            // A missing catalog, for example, is reported, and not needed.
            case .exited(0), .exited(1): #expect(effect != "kill", "\(said)")
            case .exited(3): #expect(effect != "kill" && finished.errors.contains("WARNING:  could not "), "\(said)")
            case .signalled(SIGKILL), .exited(137): #expect(effect == "kill", "\(said)")
            default: Issue.record("\(said)")
            }
            #expect(kept.isSubset(of: try site.backupLabels()), "\(said)")
            let latest = try site.tidemark(["plan", "--target", "latest"])
            #expect(latest.ending == .exited(0), "\(said)\n\(latest.errors)")
            // What is listed as a backup is one, before the work is finished.
            if effect == "kill" {
                let left = try site.tidemark(["verify"])
                #expect(left.ending == .exited(0), "\(said)\n\(left.errors)")
            }
            let again = try site.tidemark(expire)
            #expect(again.ending == .exited(0), "\(said)\n\(again.errors)")
            let verified = try site.tidemark(["verify"])
            #expect(verified.ending == .exited(0), "\(said)\n\(verified.errors)")
            #expect(try site.backupLabels() == kept, "\(said)")
        }
        let left = try run("/usr/bin/find", [site.repository, "-name", ".*.tmp"]).output
        #expect(left == "")
    }
}

import Glibc
import Platform
import Support
import Testing

/// The system calls of the commands that start servers, and of `verify`, fail one after the other: what such a command
/// reports as done is done, its source is unchanged, and nothing is left that `clean` doesn't find. (For `backup` and
/// `expire`: BackupFaultTests, ExpireFaultTests.)
@Suite struct LongCommandFaultTests {
    struct Job: Sendable, CustomTestStringConvertible {
        let testDescription: String
        let arguments: [String]
        /// Statuses other than success that tell of a failure.
        var failures: Set<Int32> = [1]

        static let all = [
            Job(testDescription: "verify", arguments: ["verify", "--jobs", "1"], failures: [1, 3]),
            Job(
                testDescription: "recover",
                arguments: ["recover", "--target", "latest", "--start", "--yes", "--data-directory", "COPY"]),
            Job(
                testDescription: "recover-table",
                arguments: [
                    "recover-table", "-t", "postgres.public.t", "--target", "latest", "--into-table=public.back",
                ],
                failures: [1, 3]),
            Job(testDescription: "drill", arguments: ["drill"], failures: [1, 3]),
        ]
    }
    private static let isSoak = getenv("TIDEMARK_SOAK") != nil

    @Test(arguments: Job.all) func `whichever call fails, nothing is lost, and nothing is left running`(_ job: Job)
        throws
    {
        let site = try TestSite(initdb: ["--wal-segsize=1", "--data-checksums"])
        try site.cluster.psql("create table t as select generate_series(1, 1000) n")
        try site.tidemark(["backup"], expectSuccess: true)
        try site.archiveEverything()
        let copy = site.scratch.file("copy")
        let arguments = job.arguments.map { $0 == "COPY" ? copy : $0 }
        func rows(_ directory: String, _ table: String) throws -> String {
            try runAsServerUser(
                site.cluster.server.bin + "/psql",
                ["-h", directory, "-U", "postgres", "-d", "postgres", "-XAtqc", "select count(*) from \(table)"],
                expectSuccess: false
            ).output.split(separator: "\n").joined()
        }
        /// Examines a command's result; the next one begins from the original state.
        func judge(_ finished: Finished, _ said: String) throws {
            switch finished.ending {
            case .exited(0):
                if job.testDescription == "recover" { #expect(try rows(copy, "t") == "1000", "\(said)") }
                if job.testDescription == "recover-table" {
                    #expect(try rows(site.cluster.directory, "back") == "1000", "\(said)")
                }
            case .exited(let status):
                #expect(job.failures.contains(status) && finished.errors.contains("ERROR:") || status == 3, "\(said)")
                // A table that exists is complete.
                let back = try rows(site.cluster.directory, "back")
                #expect(["", "1000"].contains(back), "\(said)")
            default: Issue.record("\(said)")
            }
            if job.testDescription == "recover" {
                if try Files.exists(copy + "/postmaster.pid") {
                    _ = try runAsServerUser(
                        site.cluster.server.bin + "/pg_ctl", ["-D", copy, "-m", "immediate", "-w", "-s", "stop"],
                        expectSuccess: false)
                }
                if try Files.exists(copy) { try Files.removeTree(copy) }
            }
            try site.cluster.psql("drop table if exists back")
            try site.tidemark(["clean"], expectSuccess: true)
            // pg_ctl looks for the server's file, which is gone a moment before its process is.
            try wait(for: "the last process: \(said)") {
                try run("/usr/bin/pgrep", ["-f", site.scratch.path + "/(state|copy)"]).output == ""
            }
            let scratch = try Files.listIfPresent(site.scratch.file("state/scratch"))
            #expect(scratch.allSatisfy { !$0.hasPrefix("tidemark-") }, "\(said): \(scratch)")
        }

        let traced = try site.tidemark(arguments, environment: ["TIDEMARK_FAULT": "trace"])
        let calls = traced.errors.split(separator: "\n").count { $0.hasPrefix("trace: ") }
        try #require(traced.ending == .exited(0) && calls > 50, "\(calls): \(traced.errors)")
        try judge(traced, "without a fault")
        var struck = 0
        let places = Array(stride(from: 1, through: calls, by: Self.isSoak ? 1 : calls / 5))
        for (number, call) in places.enumerated() {
            let fault = "any:\(call)=\(["EIO", "ENOSPC", "EACCES"][number % 3])"
            let finished = try site.tidemark(arguments, environment: ["TIDEMARK_FAULT": fault])
            if finished.errors.contains("fault: ") { struck += 1 }
            try judge(finished, "\(fault): \(finished.ending) \(finished.errors)")
        }
        #expect(struck > places.count / 2, "only \(struck) of \(places.count) struck")
        try site.tidemark(["verify"], expectSuccess: true)
    }
}

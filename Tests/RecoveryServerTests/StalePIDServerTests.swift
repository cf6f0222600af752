import Glibc
import Platform
import Support
import Testing

/// A `postmaster.pid` that outlived its server, and names a process that is something else by now.
@Suite(.serialized) struct StalePIDServerTests {
    struct Stranger: Sendable, CustomTestStringConvertible {
        let testDescription: String
        /// What the message calls it; `OTHER` is another server's data directory.
        let says: String

        static let all = [
            Stranger(testDescription: "a program of the server's user", says: "is \"sleep\", and no server"),
            Stranger(testDescription: "a program of root", says: "and no server"),
            Stranger(testDescription: "another server", says: "is the server on \"OTHER\", and no server"),
        ]
    }

    @Test(arguments: Stranger.all) func `what is found in the server's place is named, with the way out`(
        _ stranger: Stranger
    ) throws {
        let site = try TestSite(initdb: ["--wal-segsize=1"])
        let other = try TestCluster()
        try site.cluster.psql("create table t as select 1 n")
        try site.tidemark(["backup"], expectSuccess: true)
        try site.archiveEverything()
        let file = site.cluster.data + "/postmaster.pid"
        let lines = try Files.readText(file).split(separator: "\n", omittingEmptySubsequences: false)
        try site.cluster.stop(mode: "immediate")
        let sleep = try runAsServerUser("/bin/sh", ["-c", "sleep 100000 >/dev/null 2>&1 & echo $!"]).output.trimmed
        defer { if let process = pid_t(sleep) { kill(process, SIGKILL) } }
        let process =
            switch stranger.testDescription {
            case "a program of root": "1"
            case "another server": String(try Files.readText(other.data + "/postmaster.pid").prefix { $0 != "\n" })
            default: sleep
            }
        let stale = ([process] + lines.dropFirst().map(String.init)).joined(separator: "\n")
        try runAsServerUser("/bin/sh", ["-c", "printf '%s' \"$0\" >\"$1\"", stale, file])

        let recovery = ["recover", "--target", "latest", "--start", "--yes"]
        for option in [[], ["--delta"]] {
            let refused = try site.tidemark(recovery + option)
            #expect(refused.ending == .exited(1), "\(refused)")
            let says = "Process \(process), which its postmaster.pid names, "
            #expect(refused.errors.contains(says), "\(refused)")
            #expect(refused.errors.contains(stranger.says.replacing("OTHER", with: other.data)), "\(refused)")
            #expect(refused.errors.contains("remove \"\(file)\""), "\(refused)")
            #expect(try Files.exists(file))
        }
        // What concerns another directory, or only the repository, is done.
        for command in [["drill"], ["list"], ["plan", "--target", "latest"]] {
            let done = try site.tidemark(command)
            #expect(done.ending == .exited(0), "\(command): \(done)")
        }
        let checked = try site.tidemark(["check"])
        #expect(checked.output.contains("server") && !checked.errors.contains("ERROR:"), "\(checked)")
        // The way out.
        try Files.remove(file)
        let done = try site.tidemark(recovery)
        #expect(done.ending == .exited(0), "\(done)")
        #expect(try site.cluster.psql("select n from t") == "1")
    }
}

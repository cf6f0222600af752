import Glibc
import Platform
import Support
import Testing

@Suite(.serialized) struct CheckpointWaitTests {
    @Test func `a backup that waits for a checkpoint says so for as long as it does`() throws {
        let site = try TestSite(initdb: ["--wal-segsize=1"])
        let checkpointer = try #require(
            pid_t(try site.cluster.psql("select pid from pg_stat_activity where backend_type = 'checkpointer'")))
        kill(checkpointer, SIGSTOP)
        defer { kill(checkpointer, SIGCONT) }
        let said = site.scratch.file("said")
        let worker = try Worker {
            _ = try? runAsServerUser(
                "/bin/bash",
                ["-c", "\"$0\" backup >/dev/null 2>\(said); echo $? >\(said).status", Executables.tidemark()],
                environment: ["TIDEMARK_CONFIG": site.configuration])
        }
        try wait(for: "the backup to say what it waits for, more than once") {
            guard try Files.exists(said) else { return false }
            return try Files.readText(said).split(separator: "\n")
                .count { $0.contains("waiting for the server's checkpoint, for ") } >= 2
        }
        kill(checkpointer, SIGCONT)
        worker.join()
        let text = try Files.readText(said)
        #expect(try Files.readText(said + ".status") == "0\n", "\(text)")
    }
}

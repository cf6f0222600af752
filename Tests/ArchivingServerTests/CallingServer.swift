import Platform
import Repository
import Support

/// A directory like a running server's, and `archive-get` called in it as PostgreSQL calls it.
struct CallingServer {
    let directory: String
    private let archive: Archive

    init(_ archive: Archive, _ name: String = "data") throws {
        self.archive = archive
        directory = archive.scratch.file(name)
        try Files.makeDirectories(directory)
        try createDurably(directory + "/postmaster.pid", bytes: Array("999999999\n".utf8), mode: 0o644)
        try archive.giveToServer(directory)
    }

    /// The file that was delivered last.
    func delivered() throws -> Digest { Digest(of: try Files.read(directory + "/fetched")) }

    /// - Parameter bootID: a file in place of the machine's boot ID; only for root.
    func get(
        _ name: String, configuration: String? = nil, bootID: String? = nil, fault: String? = nil
    ) throws -> Finished {
        let words =
            [try Executables.tidemark(), "archive-get", "--config", configuration ?? archive.configuration]
            + [name, "fetched"]
        let script = "cd \"$0\" && exec \"$@\""
        guard let bootID else {
            return try runAsServerUser(
                "/bin/sh", ["-c", script, directory] + words,
                environment: fault.map { ["TIDEMARK_FAULT": $0] } ?? [:], expectSuccess: false)
        }
        let mount = "mount --bind \"$0\" /proc/sys/kernel/random/boot_id && exec \"$@\""
        return try run(
            "/usr/bin/unshare",
            ["-m", "/bin/sh", "-c", mount, bootID, "/usr/sbin/runuser", "-u", "postgres", "--", "/bin/sh", "-c"]
                + [script, directory] + words)
    }
}

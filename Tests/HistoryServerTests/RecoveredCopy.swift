import Platform
import Support

/// A recovery of the group's cluster beside its servers, ended and removed with the object.
final class RecoveredCopy {
    /// The result of a recovery, from `recover --json`.
    struct Outcome {
        let asPredicted: Bool?
        /// Where PostgreSQL ended, according to its own history of the new timeline.
        let end: String
    }

    private let group: ServerGroup
    private let scratch: String
    private var path: String { scratch + "/data" }

    init(_ group: ServerGroup) {
        self.group = group
        scratch = "\(group.directory)/copy\(Clock.now)"
    }

    deinit {
        _ = try? runAsServerUser(
            group.version.bin + "/pg_ctl", ["-D", path, "-m", "immediate", "-w", "-t", "300", "stop"],
            expectSuccess: false)
        try? Files.removeTree(scratch)
    }

    @discardableResult
    func recover(_ server: Server, _ target: [String]) throws -> Outcome {
        try runAsServerUser("/bin/mkdir", ["-m", "700", scratch])
        let finished = try server.tidemark(
            ["recover", "--data-directory", path, "--start", "--yes", "--json"] + target)
        guard finished.ending == .exited(0) else {
            throw Problem("recover \(target) ended with \(finished.ending)", detail: finished.errors + finished.output)
        }
        // The reason of a target LSN ends with a line break of its own.
        let script = "ls \(path)/pg_wal/*.history | tail -1 | xargs grep . | tail -1"
        let history = try runAsServerUser("/bin/sh", ["-c", script])
        let fields = history.output.split(separator: "\t")
        guard fields.count >= 2 else { throw Problem("the copy has no history", detail: history.output) }
        return Outcome(
            asPredicted: finished.output.contains("\"as_predicted\" : true") ? true : nil, end: String(fields[1]))
    }

    func psql(_ sql: String) throws -> String {
        try runAsServerUser(
            group.version.bin + "/psql", ["-h", path, "-U", "postgres", "-d", "postgres", "-XAtq", "-c", sql]
        ).output.split(separator: "\n").joined(separator: "\n")
    }
}

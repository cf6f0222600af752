import Glibc
import Platform
import Support
import Testing

/// A user who can read a repository but not write to it.
private struct Reader: Sendable, CustomTestStringConvertible {
    let name: String
    /// Commands of root's shell, run before user `$R` reads.
    let prepare: String
    /// The message when no process holds the lock; nil when it is as for other users.
    var says: String?
    var testDescription: String { name }
}

private let readers = [
    Reader(name: "where nothing can be written", prepare: "mount --bind $R $R && mount -o remount,bind,ro $R"),
    Reader(name: "who may only read the lock", prepare: "chown root:postgres $L && chmod 640 $L"),
    Reader(name: "who may not read the lock", prepare: "chown root:root $L && chmod 600 $L", says: "Permission denied"),
]

@Suite struct LockReaderServerTests {
    @Test(arguments: readers)
    fileprivate func `a reader learns whether a backup is running, or that this isn't known`(
        _ reader: Reader
    ) throws {
        let site = try TestSite(initdb: ["--wal-segsize=1"])
        for _ in 1...2 { try site.tidemark(["backup", "--no-expire"], expectSuccess: true) }
        let label = try #require(try site.backupLabels().min())
        let lock = try #require(
            try run("/usr/bin/find", [site.repository, "-path", "*/backup/.lock"]).output.split(separator: "\n").first)
        func look(_ command: String, held: Bool) throws -> Finished {
            let script = """
                set -e; \(reader.prepare)
                exec 9<$L; \(held ? "flock -x 9" : ":")
                exec runuser -u postgres -- $T \(command)
                """
            return try run(
                "/usr/bin/unshare", ["-m", "/bin/bash", "-c", script],
                environment: [
                    "TIDEMARK_CONFIG": site.configuration, "R": site.repository, "L": String(lock),
                    "T": Executables.tidemark(), "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
                ])
        }
        for held in [true, false] {
            let removed = try look("remove \(label) --dry-run", held: held)
            let expired = try look("expire --dry-run", held: held)
            if let says = reader.says {
                #expect(removed.ending == .exited(1) && removed.errors.contains(says), "\(removed)")
                #expect(
                    expired.ending == .exited(3)
                        && expired.errors.contains("cannot determine whether a backup is running"), "\(expired)")
                #expect(expired.errors.contains(says), "\(expired)")
            } else {
                #expect(removed.ending == .exited(held ? 5 : 0), "\(removed)")
                #expect(removed.errors.contains("another backup or expiration") == held, "\(removed)")
                #expect(expired.ending == .exited(0), "\(expired)")
            }
        }
    }
}

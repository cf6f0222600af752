import Platform
import Support
import Testing

/// Links in a cluster's own data directory that a delta recovery brings back to its backup.
@Suite struct InPlaceLinkServerTests {
    struct Link: Sendable, CustomTestStringConvertible {
        let name: String
        /// What it leads to: `OUT` is a directory of others, `REPO` the repository.
        let target: String
        /// Whether it is there when the backup is taken.
        let isInBackup: Bool
        var testDescription: String { "\(name), \(isInBackup ? "before" : "after") the backup" }
    }

    static let links = [true, false].flatMap { isInBackup in
        [
            Link(name: "log", target: "OUT", isInBackup: isInBackup),
            Link(name: "backups", target: "REPO", isInBackup: isInBackup),
        ]
    }

    private func listing(_ directory: String) throws -> String {
        let script = "find $0 -printf '%P %y %s %m %T@\\n' | sort; find $0 -type f -exec md5sum {} + | sort"
        return try run("/bin/sh", ["-c", script, directory]).output
    }

    @Test(arguments: links) func `a delta recovery in place does not touch what a link leads to`(_ link: Link) throws {
        let site = try TestSite(initdb: ["--wal-segsize=1"])
        let out = site.scratch.file("out")
        try runAsServerUser("/bin/sh", ["-c", "mkdir $0 && echo theirs >$0/other-cluster.log", out])
        let target = link.target == "OUT" ? out : site.repository
        func plant() throws {
            try runAsServerUser("/bin/ln", ["-s", target, "\(site.cluster.data)/\(link.name)"])
        }
        if link.isInBackup { try plant() }
        try site.cluster.psql("create table t as select generate_series(1, 100) n")
        try site.tidemark(["backup"], expectSuccess: true)
        try site.archiveEverything()
        try site.cluster.psql("delete from t")
        try site.archiveEverything()
        try site.cluster.stop()
        if !link.isInBackup { try plant() }
        func kept() throws -> String {
            // A recovery adds its record, and archives what the server had not.
            try listing(out)
                + listing(site.repository).split(separator: "\n").filter { $0.contains("pack/") }.joined(
                    separator: "\n")
        }
        let before = try kept()
        let recovered = try site.tidemark(["recover", "--target", "immediate", "--yes", "--delta", "--start"])
        #expect(recovered.ending == .exited(0), "\(recovered)")
        #expect(recovered.output.contains("Symbolic link \"\(link.name)\""), "\(recovered)")
        #expect(try kept() == before)
        #expect(try site.cluster.psql("select count(*) from t") == "100")
    }
}

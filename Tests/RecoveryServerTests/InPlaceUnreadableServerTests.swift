import Platform
import Support
import Testing

/// A segment of the archive is lost, damaged, or can't be opened, and the dead server still has it in its pg_wal: plan
/// and recover say the same of it, and what they offer works.
@Suite struct InPlaceUnreadableServerTests {
    enum Loss: String, Sendable, CaseIterable {
        case head, body, missing, forbidden, dangling

        func apply(_ path: String) throws {
            switch self {
            case .head: try flipByte(of: path, at: 20)
            case .body: try flipByte(of: path, at: FileStatus(of: path).size / 2)
            case .missing: try Files.remove(path)
            case .forbidden: try runAsServerUser("/bin/chmod", ["000", path])
            case .dangling: try runAsServerUser("/bin/ln", ["-sf", "/nonexistent/segment", path])
            }
        }
    }

    struct Row: Sendable, CustomTestStringConvertible {
        /// Whether the segment is from before the dead server's last checkpoint.
        let isOld: Bool
        let loss: Loss
        let status: Int32
        let says: String
        var testDescription: String { "\(isOld ? "old" : "recent"), \(loss)" }
    }

    static let rows = [
        // `recover` archives everything from the last checkpoint on again.
        Row(isOld: false, loss: .head, status: 0, says: ""), Row(isOld: false, loss: .body, status: 0, says: ""),
        Row(isOld: false, loss: .missing, status: 0, says: ""),
        Row(isOld: false, loss: .forbidden, status: 1, says: "move it out of the repository"),
        Row(isOld: false, loss: .dangling, status: 1, says: "move it out of the repository"),
        Row(isOld: true, loss: .head, status: 4, says: "tidemark archive-push "),
        // What the archive lacks is archived as well, however old.
        Row(isOld: true, loss: .missing, status: 0, says: ""),
        Row(isOld: true, loss: .forbidden, status: 4, says: "Permission denied"),
        Row(isOld: true, loss: .dangling, status: 4, says: "leads nowhere"),
    ]

    @Test(arguments: rows)
    func `plan and recover agree on what the archive has lost and the server has`(_ row: Row) throws {
        let site = try TestSite(settings: ["wal_keep_size": "64MB"], initdb: ["--wal-segsize=1"])
        let cluster = site.cluster
        try cluster.psql("create table t (n int)")
        try site.tidemark(["backup"], expectSuccess: true)
        var names: [String] = []
        for n in 1...4 {
            try cluster.psql("insert into t values (\(n))")
            names.append(try cluster.psql("select pg_walfile_name(pg_current_wal_lsn())"))
            if n == 2 { try cluster.psql("checkpoint") }
            try site.archiveEverything()
        }
        try cluster.psql("insert into t values (5)")
        try cluster.stop(mode: "immediate")
        let name = names[row.isOld ? 0 : 2]
        let path = try #require(
            run("/usr/bin/find", [site.repository, "-name", name + ".zst"]).output.split(separator: "\n").first
                .map(String.init))
        try runAsServerUser("/bin/chmod", ["u+w", path])
        try row.loss.apply(path)
        let plan = ["plan", "--target", "latest"]
        let recover = ["recover", "--target", "latest", "--start", "--yes"]
        if row.status != 0 {
            for command in [plan, recover] {
                let told = try site.tidemark(command)
                #expect(told.ending == .exited(row.status), "\(command): \(told)")
                #expect(told.errors.contains(row.says), "\(command): \(told)")
                let isOffered = told.errors.contains("tidemark archive-push")
                #expect(isOffered == row.says.contains("archive-push"), "\(command): \(told)")
            }
            if !row.says.contains("archive-push") {
                try runAsServerUser("/bin/mv", [path, site.scratch.file("moved")])
            }
        }
        if row.says.contains("archive-push") {
            let told = try site.tidemark(plan).errors
            let offered = try #require(told.firstMatch(of: /"tidemark (archive-push [^"]+)"/)?.output.1, "\(told)")
            #expect(offered.contains("\(cluster.data)/pg_wal/\(name)"), "\(told)")
            let stored = try runAsServerUser(
                "/bin/sh", ["-c", "cd / && \(Executables.tidemark()) \(offered)"], expectSuccess: false)
            #expect(stored.ending == .exited(0), "\(stored)")
        }
        let planned = try site.tidemark(plan)
        #expect(planned.ending == .exited(0), "\(planned)")
        let recovered = try site.tidemark(recover)
        #expect(recovered.ending == .exited(0), "\(recovered)")
        #expect(try cluster.psql("select string_agg(n::text, ' ' order by n) from t") == "1 2 3 4 5")
    }
}

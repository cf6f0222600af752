import Platform
import Support
import Testing

/// A file in a server's own pg_wal is named after a timeline's history, and isn't one.
@Suite struct DamagedOwnHistoryServerTests {
    struct Row: Sendable, CustomTestStringConvertible {
        let version: TestServer
        /// Whether the archive got the history before the file was damaged.
        let isArchived: Bool
        /// Whether it is the history of the server's own timeline.
        let isOwn: Bool
        /// Whether the server no longer has the segment in which its timeline began.
        var isRecycled = false
        /// Whether the server's WAL tells the history.
        var isTold: Bool { isOwn && !isArchived && !isRecycled }
        var testDescription: String {
            "\(version), \(isOwn ? "the server's own" : "another"), \(isArchived ? "archived" : "not archived")"
                + (isRecycled ? ", recycled" : "")
        }
    }
    static let rows = [
        Row(version: .v15, isArchived: true, isOwn: true), Row(version: .v15, isArchived: false, isOwn: true),
        Row(version: .v15, isArchived: false, isOwn: false), Row(version: .v18, isArchived: false, isOwn: true),
        Row(version: .v18, isArchived: true, isOwn: true),
    ]

    /// A server on timeline 2 whose archiver has just met the damaged file.
    private func damaged(_ row: Row) throws -> (ServerGroup, Server, file: String) {
        let push = "\(try Executables.tidemark()) archive-push --config DIRECTORY/NAME.conf %p"
        let group = try ServerGroup(
            row.version, settings: ["archive_command": "'test ! -e DIRECTORY/block && \(push)'"])
        let (a, b) = try group.addBackedUpPair()
        try a.psql("insert into t values (1)", "select pg_switch_wal()")
        try group.catchUp(b, with: a)
        try group.drain(a)
        try a.stop()
        if !row.isArchived || !row.isOwn { try a.shell("touch \(group.directory)/block") }
        try b.promote()
        if row.isArchived { try group.drain(b) }
        try a.shell("touch \(group.directory)/block")
        let name = row.isOwn ? "00000002.history" : "00000007.history"
        let file = "\(b.data)/pg_wal/\(name)"
        try b.shell("echo garbage > '\(file)' && touch '\(b.data)/pg_wal/archive_status/\(name).ready'")
        try b.psql("insert into t values (2)", "select pg_switch_wal()")
        if row.isRecycled {
            let first = try #require(
                Files.list("\(b.data)/pg_wal").filter { $0.hasPrefix("00000002") && $0.count == 24 }.min())
            try b.psql("checkpoint")
            try b.shell("rm '\(b.data)/pg_wal/\(first)'")
        }
        return (group, b, file)
    }

    /// The command that a message offers for the file.
    private func remedy(_ text: String, _ row: Row, _ file: String) throws -> String {
        let name = Files.name(file)
        #expect(text.lowercased().contains("timeline history file \"\(name)\" is damaged in line 1"), "\(text)")
        let offered =
            if row.isArchived {
                text.firstMatch(of: /"(tidemark archive-get [^"]+)"/)?.output.1
            } else if row.isTold {
                text.firstMatch(of: /"(printf [^"]+\.history)"/)?.output.1
            } else {
                text.firstMatch(of: /"(mv [^"]+\.damaged)"/)?.output.1
            }
        let command = String(try #require(offered, "\(text)"))
        #expect(command.contains(file), "\(command)")
        return command.replacing("tidemark ", with: "\(try Executables.tidemark()) ")
    }

    @Test(arguments: rows + [Row(version: .v15, isArchived: false, isOwn: true, isRecycled: true)])
    func `a running server archives again after what every command offers`(_ row: Row) throws {
        let (group, b, file) = try damaged(row)
        try group.accounted {
            try b.shell("rm \(group.directory)/block")
            try b.reload()
            try group.wait(for: "the archiver to be refused") {
                try b.psql("select failed_count > 0 from pg_stat_archiver") == "t"
            }
            let pushed = try b.tidemark(["archive-push", file])
            #expect(pushed.ending == .exited(1), "\(pushed)")
            let command = try remedy(pushed.errors, row, file)
            for words in [
                ["check", "--only", "archiving"], ["check", "--only", "timelines"],
                ["plan", "--target", "immediate", "--data-directory", group.directory + "/beside"],
            ] {
                let told = try b.tidemark(words)
                if words[0] == "check" { #expect(told.ending == .exited(3), "\(words): \(told)") }
                #expect(try remedy(told.output + told.errors, row, file) == command, "\(words)")
            }
            if row.isOwn {
                try b.configure(["wal_wait_timeout = 1s"])
                let backup = try b.tidemark(["backup"])
                #expect(
                    backup.ending == .exited(1) && backup.errors.contains("archiving \"\(Files.name(file))\" fails")
                        && backup.errors.contains("tidemark check --only archiving"), "\(backup)")
                try b.configure()
            }
            try b.shell(command)
            try group.drain(b)
            for check in ["archiving", "timelines"] {
                let told = try b.tidemark(["check", "--only", check])
                #expect(told.ending == .exited(0), "\(told)")
            }
            if row.isRecycled { try b.tidemark(["backup"], expectSuccess: true) }
            try b.stop()
            try b.start()
            try b.psql("insert into t values (3)", "select pg_switch_wal()")
            try group.drain(b)
            try b.tidemark(["plan", "--target", "latest"], expectSuccess: true)
            let copy = RecoveredCopy(group)
            try copy.recover(b, ["--target", "latest"])
            #expect(try copy.psql("select string_agg(i::text, ' ' order by i) from t") == "1 2 3")
        }
    }

    @Test(arguments: rows)
    func `a dead server is recovered in place, at once or after what the plan offers`(_ row: Row) throws {
        let (group, b, file) = try damaged(row)
        try group.accounted {
            try b.kill()
            try b.shell("rm \(group.directory)/block")
            if row.isOwn { #expect(throws: (any Error).self) { try b.start() } }
            let recover = [
                "recover", "--target", "latest", "--start", "--yes", "--set",
                "config_file=\(b.serverConfiguration)",
            ]
            let planned = try b.tidemark(["plan", "--target", "latest"])
            let command = try remedy(planned.output + planned.errors, row, file)
            if !row.isArchived {
                #expect(planned.ending != .exited(0), "\(planned)")
                let inode = try FileStatus(of: b.data).inode
                let refused = try b.tidemark(recover)
                #expect(refused.ending == planned.ending, "\(refused)")
                #expect(try remedy(refused.errors, row, file) == command)
                #expect(try FileStatus(of: b.data).inode == inode)
                try b.shell(command)
            } else {
                #expect(planned.ending == .exited(0), "\(planned)")
            }
            try b.tidemark(recover, expectSuccess: true)
            #expect(try b.psql("select string_agg(i::text, ' ' order by i) from t") == "1 2")
        }
    }
}

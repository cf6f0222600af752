import Platform
import Support
import Testing
import WAL

/// What the archive no longer has although a server was told that it has, and which timeline is followed where no data
/// directory tells.
@Suite struct AcknowledgedServerTests {
    @Test(arguments: TestServer.ends)
    func `check names the newest segments that are gone, and what stores them again`(_ version: TestServer) throws {
        let group = try ServerGroup(version, settings: ["wal_keep_size": "64MB"])
        try group.accounted {
            let a = try group.addBackedUpPrimary()
            for row in 1...4 { try a.psql("insert into t values (\(row))", "select pg_switch_wal()") }
            try group.drain(a)
            let gone = Array(try group.archived().filter { $0.count == 24 }.suffix(2))
            try group.wait(for: "the server to count its last segment as archived") {
                try a.psql("select last_archived_wal from pg_stat_archiver") == gone[1]
            }
            func check(_ name: String) throws -> Finished { try a.tidemark(["check", "--only", name]) }
            #expect(try check("wal_continuity").ending == .exited(0))
            for name in gone { try runAsServerUser("/usr/bin/find", [group.wal, "-name", "\(name).zst", "-delete"]) }
            let told = try check("wal_continuity")
            #expect(told.ending == .exited(3), "\(told)")
            #expect(told.output.contains("\"\(gone[0])\" to \"\(gone[1])\" are missing"), "\(told)")
            #expect(try check("rpo").ending == .exited(3))
            let offered = try #require(told.output.firstMatch(of: /store it with: (.*archive-push[^\n\[]*)/)?.output.1)
            for command in offered.split(separator: ";") {
                try runAsServerUser("/bin/sh", ["-c", "cd / && \(command)"])
            }
            #expect(try check("wal_continuity").ending == .exited(0))
            try a.tidemark(["segments"], expectSuccess: true)
        }
    }

    @Test(arguments: TestServer.ends)
    func `a history that the archive lost and the server has is stored again as every command offers`(
        _ version: TestServer
    ) throws {
        let group = try ServerGroup(version)
        try group.accounted {
            let (a, b) = try group.addBackedUpPair()
            try a.stop()
            try b.promote()
            try b.psql("insert into t values (1)", "select pg_switch_wal()")
            try group.drain(b)
            for line in [["segments"], ["window"], ["list"], ["events"]] {
                try runAsServerUser("/usr/bin/find", [group.wal, "-name", "00000002.history.zst", "-delete"])
                let told = try b.tidemark(line)
                #expect(told.ending == .exited(3), "\(line): \(told)")
                let words = "\(told.output)\(told.errors)"
                guard line != ["list"] else {
                    #expect(words.contains("00000002.history"), "\(told)")
                    continue
                }
                let offer = try #require(
                    words.firstMatch(of: /still has it; store it with "tidemark ([^"]+)"/), "\(told)")
                try b.tidemark(offer.output.1.split(separator: " ").map(String.init), expectSuccess: true)
                try b.tidemark(line, expectSuccess: true)
            }
        }
    }

    /// The old primary archived more than the new one had received, and the new one, which is lost, only its history.
    @Test(arguments: TestServer.ends)
    func `without a data directory every command follows what a recovery follows`(_ version: TestServer) throws {
        let group = try ServerGroup(version)
        try group.accounted {
            let (a, b) = try group.addBackedUpPair()
            try a.psql("insert into t values (1)", "select pg_switch_wal()", "insert into t values (2)")
            try group.catchUp(b, with: a)
            try group.drain(a)
            try group.failOver(from: a, to: b) {
                // The times are shown in whole seconds.
                try a.psql("select pg_sleep(1.1)", "insert into t values (3)", "select pg_switch_wal()")
            }
            try group.drain(b)
            try b.stop("immediate")
            try b.shell("rm -rf '\(b.data)'")
            let window = try b.tidemark(["window", "--json"]).output
            let to = try #require(window.firstMatch(of: /"to" *: *"(\d+-\d+-\d+)T(\d+:\d+:\d+)/))
            let checked = try b.tidemark(["check", "--only", "recovery_window"])
            #expect(checked.output.contains("to \(to.output.1) \(to.output.2)"), "\(checked)\n\(window)")
            let planned = try b.tidemark(["plan", "--target", "latest", "--data-directory", "\(group.directory)/new"])
            #expect(planned.ending == .exited(0) && planned.output.contains("\(to.output.2)"), "\(planned)")
            let words = planned.output + planned.errors
            #expect(words.contains("Timeline 2 is not followed: it left timeline 1 at LSN"), "\(planned)")
        }
    }

    @Test func `without a data directory check says that it can't be told which timeline is the cluster's`() throws {
        let group = try ServerGroup(.v15)
        try group.accounted {
            let (a, b) = try group.addBackedUpPair()
            try group.failOver(from: a, to: b) {
                for row in 1...2 { try a.psql("insert into t values (\(row))", "select pg_switch_wal()") }
            } end: {
                try $0.stop()
            }
            for row in 3...4 { try b.psql("insert into t values (\(row))", "select pg_switch_wal()") }
            try group.drain(b)
            try b.stop()
            try b.shell("rm -rf '\(b.data)'")
            let told = try b.tidemark(["check", "--only", "timelines"])
            #expect(told.ending == .exited(3) && told.output.hasPrefix("warning"), "\(told)")
            #expect(told.output.contains("which of timelines 1, 2 is the cluster's"), "\(told)")
            let planned = try b.tidemark(["plan", "--target", "latest", "--data-directory", "\(group.directory)/new"])
            #expect(planned.ending == .exited(4), "\(planned)")
            let named = ["--target", "latest", "--target-timeline", "2", "--data-directory", "\(group.directory)/new"]
            try b.tidemark(["plan"] + named, expectSuccess: true)
        }
    }
}

import Platform
import Support
import Testing
import WAL

/// Two standbys that were promoted take the same number for timelines of their own. One archives; the other's files
/// wait in its pg_wal when somebody archives them by hand, as docs/archiving.md says for a server that has failed.
struct LeftOverBranch: Sendable, CustomTestStringConvertible {
    enum State: String, CaseIterable, Sendable { case stopped, killed, standby }
    let state: State
    /// Whether the branch was archived and put aside before the number was taken anew.
    let isAside: Bool
    /// Whether both left timeline 1 at one position: then their histories are the same.
    let isSameFork: Bool
    var server = TestServer.v15
    var testDescription: String {
        "\(state), \(isAside ? "put aside before" : "never archived"), forked \(isSameFork ? "at one place" : "before"), "
            + "\(server)"
    }
    /// Nothing but the history tells that they were put aside.
    var isStoredAside: Bool { isAside && !isSameFork }

    static let all = TestServer.samples(
        State.allCases.flatMap { state in
            [(true, false), (false, false), (false, true)].map {
                LeftOverBranch(state: state, isAside: $0, isSameFork: $1)
            }
        }, isShort: { $0.state == .stopped }, on: \.server)
}

@Suite struct TwoTimelinesOfOneNumberServerTests {
    @Test(arguments: LeftOverBranch.all)
    func `what a server has of another timeline of that number never becomes part of the archived one`(
        _ sample: LeftOverBranch
    ) throws {
        let group = try ServerGroup(sample.server, settings: ["wal_keep_size": "64MB"])
        try group.accounted {
            let a = try group.addBackedUpPrimary()
            let b = try group.addStandby("b", of: a)
            let c = try group.addStandby("c", of: a)
            try a.psql("insert into t values (1)", "select pg_switch_wal()", "insert into t values (2)")
            try group.drain(a)
            for standby in [b, c] { try group.catchUp(standby, with: a) }
            group.step("promote b by mistake")
            if !sample.isAside { try Self.block(b) }
            try b.promote()
            if sample.isAside {
                try b.psql("insert into t values (100)", "select pg_switch_wal()")
                try group.drain(b)
                try Self.block(b)
            }
            // The same records as the right server writes later: where one segment ends, the other's next one fits.
            for number in 101...106 { try b.psql("insert into t values (\(number))", "select pg_switch_wal()") }
            switch sample.state {
            case .stopped: try b.stop()
            case .killed: try b.kill()
            case .standby:
                try b.stop()
                try b.follow(a)
                try b.start()
            }
            let waiting = try b.waiting().map { String($0.dropLast(".ready".count)) }
            try #require(waiting.filter { $0.hasPrefix("00000002") && $0.count == 24 }.count > 4, "\(waiting)")
            if sample.isAside {
                let command = try a.tidemark(["check"]).output.firstMatch(
                    of: /tidemark (segments put-aside 00000002\.history)/)
                let words = try #require(command).output.1.split(separator: " ").map(String.init)
                try a.tidemark(words + ["--yes"], expectSuccess: true)
            }
            group.step("kill a, promote c: number 2 is free")
            if !sample.isSameFork {
                try a.psql("insert into t values (3)")
                try group.catchUp(c, with: a)
            }
            try a.stop("immediate")
            try c.promote()
            try c.psql("insert into t values (4)", "select pg_switch_wal()", "insert into t values (5)")
            try group.drain(c)
            let before = try Set(group.archived())
            group.step("archive what b has left")
            for name in waiting where SegmentName(name)?.timeline == TimelineID(2) {
                let push = "'\(try Executables.tidemark())' archive-push --config '\(b.configuration)' pg_wal/\(name)"
                let pushed = try b.shell("cd '\(b.data)' && \(push)", expectSuccess: false)
                #expect(pushed.ending == .exited(sample.isStoredAside ? 0 : 1), "\(name): \(pushed)")
            }
            #expect(try Set(group.archived()) == before)
            group.step("c goes on")
            for number in 6...9 { try c.psql("insert into t values (\(number))", "select pg_switch_wal()") }
            try group.drain(c)
            for command in [["verify", "--wal"], ["segments"], ["plan", "--target", "latest"]] {
                let told = try c.tidemark(command)
                #expect(told.ending == .exited(0), "\(command): \(told)")
            }
            let copy = RecoveredCopy(group)
            try copy.recover(c, ["--target", "latest"])
            let rows = "1 2\(sample.isSameFork ? "" : " 3") 4 5 6 7 8 9"
            #expect(try copy.psql("select string_agg(i::text, ' ' order by i) from t") == rows)
        }
    }

    private static func block(_ server: Server) throws {
        server.settings["archive_command"] = "'false'"
        try server.writeSettings()
        try server.reload()
    }
}

import Platform
import Support
import Testing
import WAL

/// The history file of a timeline from which the cluster's descends, and what becomes of it.
struct AncestorHistory: Sendable, CustomTestStringConvertible {
    enum Harm: String, CaseIterable, Sendable {
        case body, head, cutOff, removed

        /// Of the object that `$0` names. The head has 64 bytes.
        var script: String {
            switch self {
            case .body: "printf XXXX | dd of=\"$0\" bs=1 seek=$(($(stat -c %s \"$0\") - 8)) conv=notrunc status=none"
            case .head: "printf XXXX | dd of=\"$0\" bs=1 seek=30 conv=notrunc status=none"
            case .cutOff: "truncate -s 20 \"$0\""
            case .removed: "rm \"$0\""
            }
        }
    }
    let harm: Harm
    var server = TestServer.v15
    var testDescription: String { "\(harm), \(server)" }

    static let all = TestServer.samples(
        Harm.allCases.map { AncestorHistory(harm: $0) }, isShort: { $0.harm == .body }, on: \.server)
}

@Suite struct AncestorHistoryServerTests {
    /// The cluster is on timeline 3, and 00000002.history is harmed.
    @Test(arguments: AncestorHistory.all)
    func `a history file that a later one repeats is rebuilt`(_ sample: AncestorHistory) throws {
        let group = try ServerGroup(sample.server)
        try group.accounted {
            let a = try group.addBackedUpPrimary()
            let b = try group.addStandby("b", of: a)
            group.step("switch over to b and back")
            try group.catchUp(b, with: a)
            try a.stop()
            try b.promote()
            try a.follow(b)
            try a.start()
            try b.psql("insert into t values (3)", "select pg_switch_wal()")
            try group.catchUp(a, with: b)
            try b.stop()
            try a.promote()
            try b.follow(a)
            try b.start()
            try a.psql("insert into t values (5)", "select pg_switch_wal()")
            try group.drain(a)
            try group.catchUp(b, with: a)
            let whole = try Files.readText("\(a.data)/pg_wal/00000002.history")
            group.step("harm 00000002.history: \(sample.harm)")
            try runAsServerUser("/bin/sh", ["-c", sample.harm.script, "\(group.wal)/00000002.history.zst"])

            for server in [a, b] {
                for command in [
                    ["segments"], ["window"], ["list"], ["events"], ["check", "--only", "wal_continuity"],
                    ["plan", "--target", "latest"], ["plan", "--target", "latest", "--data-directory", "/nowhere"],
                ] {
                    let told = try server.tidemark(command)
                    #expect(told.ending == .exited(0), "\(server.name) \(command): \(told.output)\(told.errors)")
                }
            }
            let got = group.directory + "/got"
            try a.tidemark(["archive-get", "00000002.history", got], expectSuccess: true)
            #expect(try Files.readText(got) == whole)
            group.step("lose both servers")
            for server in [a, b] { try server.stop() }
            let copy = RecoveredCopy(group)
            let outcome = try copy.recover(a, ["--target", "latest"])
            #expect(outcome.asPredicted == true)
            #expect(try copy.psql("select string_agg(i::text, ' ' order by i) from t") == "3 5")
            let verified = try a.tidemark(["verify", "--wal"])
            #expect((verified.ending == .exited(0)) == (sample.harm == .removed), "\(verified)")
            group.step("store it again as docs/recovery.md says")
            try runAsServerUser("/bin/mkdir", ["-m", "700", group.directory + "/again"])
            let file = group.directory + "/again/00000002.history"
            try a.tidemark(["archive-get", "00000002.history", file], expectSuccess: true)
            try a.tidemark(["archive-push", file], expectSuccess: true)
            try a.tidemark(["verify", "--wal"], expectSuccess: true)
        }
    }
}

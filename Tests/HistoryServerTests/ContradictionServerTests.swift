import Glibc
import Platform
import Support
import Testing
import WAL

/// Two servers wrote the same timeline, and the wrong one archived first: nothing follows it unless asked to.
@Suite struct ContradictionServerTests {
    enum Form: String, CaseIterable, Sendable {
        /// Two standbys took the same timeline number at different positions.
        case otherSwitchPoint
        /// At the same position: their histories are the same file.
        case sameSwitchPoint
        /// A copy of the running server's machine was started, with archiving on.
        case copy
    }

    /// Each form and each version; every pair of them in `make soak`.
    private static let samples: [(TestServer, Form)] =
        getenv("TIDEMARK_SOAK") == nil
        ? Form.allCases.map { (.v15, $0) } + [(.v16, .otherSwitchPoint), (.v18, .sameSwitchPoint), (.v18, .copy)]
        : TestServer.allCases.flatMap { server in Form.allCases.map { (server, $0) } }

    /// Two servers of one timeline, of which the wrong one archived first and is dead.
    ///
    /// - Returns: the right one, and the rows that it had before the other one's WAL.
    private func contradict(_ form: Form, _ group: ServerGroup) throws -> (right: Server, before: String) {
        let a = try group.addBackedUpPrimary()
        try a.psql("insert into t values (0)", "select pg_create_restore_point('early')", "select pg_switch_wal()")
        let right: Server
        let wrong: Server
        if form == .copy {
            try a.psql("insert into t values (1)", "select pg_switch_wal()")
            try group.drain(a)
            wrong = try group.addCopy("k", of: a)
            right = a
        } else {
            right = try group.addStandby("c", of: a)
            wrong = try group.addStandby("b", of: a)
            try a.psql("insert into t values (1)")
            try group.catchUp(wrong, with: a)
            if form == .otherSwitchPoint {
                try wrong.stop()
                try a.psql("insert into t values (2)")
            }
            try group.catchUp(right, with: a)
            try a.kill()
            // With a restore_command the second one would follow the first.
            right.settings["restore_command"] = "''"
            for server in [right, wrong] {
                try server.stop()
                try server.follow(nil)
                try server.start()
            }
            try wrong.promote()
        }
        let before = try right.psql("select coalesce(string_agg(i::text, ',' order by i), '') from t")
        try wrong.psql("insert into t values (-1)", "select pg_switch_wal()")
        try wrong.psql("insert into t values (-2)", "select pg_switch_wal()")
        try group.drain(wrong)
        try wrong.kill()
        if form != .copy { try right.promote() }
        try right.psql("insert into t values (4)", "select pg_switch_wal()")
        try right.psql("insert into t values (5)", "select pg_switch_wal()")
        try group.wait(for: "the archiver to be refused") {
            try right.psql("select failed_count > 0 from pg_stat_archiver") == "t"
        }
        return (right, before)
    }

    @Test(arguments: samples)
    private func `WAL that another server archived under this one's names is not followed`(
        _ server: TestServer, _ form: Form
    ) throws {
        let group = try ServerGroup(server)
        try group.accounted {
            let (right, before) = try contradict(form, group)
            group.step("while the server lives")
            let planned = try right.tidemark(["plan", "--target", "latest"])
            #expect(
                "\(planned.output)\(planned.errors)".contains("is not the one that the server in"), "\(form) \(planned)"
            )
            let checked = try right.tidemark(["check"])
            #expect(
                checked.ending == .exited(3) && checked.output.contains("is not the one that the server"), "\(checked)")
            #expect(!checked.output.contains("Every commit is in the repository"), "\(checked)")
            for command in ["segments", "window"] {
                struct Document: Decodable {
                    struct Contradiction: Decodable { let file, lsn, message, remedy: String }
                    let contradiction: Contradiction?
                }
                let told = try right.tidemark([command, "--json"])
                let found = try #require(
                    decoded(Document.self, told.output).contradiction, "\(told)")
                #expect(told.errors.contains("\"\(found.file)\" in the archive is not the one that"), "\(told)")
                #expect(told.errors.contains("From LSN \(found.lsn) on, reports about the archive"), "\(told)")
                #expect(told.errors.contains(found.message) && told.errors.contains(found.remedy), "\(told)")
            }
            try expectLossFromThere(right)

            group.step("when it is dead")
            try right.kill()
            try expectLossFromThere(right)
            let inode = try FileStatus(of: right.data).inode
            let inPlace = try right.tidemark(["plan", "--target", "latest"])
            for finished in [inPlace, try right.tidemark(["recover", "--target", "latest", "--start", "--yes"])] {
                #expect(finished.ending == .exited(4), "\(form) \(finished)")
                #expect(finished.errors.contains("a recovery follows it"), "\(form) \(finished)")
            }
            let early = ["--target-name", "early"]
            try right.tidemark(["plan"] + early, expectSuccess: true)
            try right.tidemark(["recover", "--dry-run", "--start"] + early, expectSuccess: true)
            let delta = try right.tidemark(["recover", "--delta", "--start", "--yes"] + early)
            #expect(delta.ending == .exited(4) && delta.errors.contains("a recovery follows it"), "\(delta)")
            #expect(try FileStatus(of: right.data).inode == inode)
            // The other one may be the right one: its history is followed in another directory.
            let elsewhere = try right.tidemark(
                ["plan", "--target", "latest", "--data-directory", group.directory + "/elsewhere"])
            #expect(elsewhere.ending == .exited(0), "\(form) \(elsewhere)")
            // The command that the message offers.
            let offer = try #require(
                inPlace.errors.firstMatch(of: /tidemark (segments put-aside [^"]+)"/))
            let words = offer.output.1.split(separator: " ").map(String.init)
            try right.tidemark(words + ["--yes"], expectSuccess: true)
            try right.tidemark(
                ["recover", "--target", "latest", "--start", "--yes"]
                    + ["--set", "config_file=\(right.serverConfiguration)"], expectSuccess: true)
            #expect(try right.psql("select string_agg(i::text, ',' order by i) from t") == "\(before),4,5")
        }
    }

    @Test(arguments: [(TestServer.v15, Form.copy), (.v15, .otherSwitchPoint), (.v18, .sameSwitchPoint)])
    private func `in place, a moment before the other server's WAL can be recovered to`(
        _ server: TestServer, _ form: Form
    ) throws {
        let group = try ServerGroup(server)
        try group.accounted {
            let right = try contradict(form, group).right
            try right.kill()
            let recovered = try right.tidemark([
                "recover", "--target-name", "early", "--start", "--yes", "--set",
                "config_file=\(right.serverConfiguration)",
            ])
            try #require(recovered.ending == .exited(0), "\(recovered)")
            #expect(recovered.errors.contains("nothing of pg_wal in \"\(right.data)\" is archived"), "\(recovered)")
            #expect(try right.psql("select string_agg(i::text, ',' order by i) from t") == "0")
            let kept = try #require(
                Files.list(group.directory).first { $0.hasPrefix(Files.name(right.data) + ".before-") })
            #expect(try Files.list("\(group.directory)/\(kept)/pg_wal").contains { SegmentName($0) != nil })
            // It has left the contradiction behind.
            try right.psql("insert into t values (7)", "select pg_switch_wal()")
            try group.drain(right)
            try right.tidemark(["backup"], expectSuccess: true)
            try right.tidemark(["plan", "--target", "latest"], expectSuccess: true)
        }
    }

    /// What was archived before the other server's is there, and every command that speaks of loss says so.
    private func expectLossFromThere(_ server: Server) throws {
        let other = "is not the one that the server in"
        for (command, words) in [
            (["check", "--only", "rpo"], "Nothing after 20"),
            (["check", "--only", "recovery_window"], "can be reached, but not to now: "),
            (["status"], "can be reached, but not to now: "), (["window"], "can be recovered to"),
            (["list"], "-full"), (["segments"], "first commit"), (["events"], ""), (["verify", "--wal"], ""),
            (["around", "--target-time", "2100-01-01 00:00 UTC"], ""),
        ] {
            let told = try server.tidemark(command)
            let all = told.output + told.errors
            #expect(all.contains(other) && all.contains(words), "\(command): \(told)")
            #expect(all.contains("segments put-aside") || command == ["status"], "\(command): \(told)")
            // What is in the archive is sound.
            #expect(told.ending == .exited(command[0] == "verify" ? 0 : 3), "\(command): \(told)")
            let untrue = ["Everything would be lost", "  everything  ", "othing can be recovered", "There are no gaps"]
            for untrue in untrue {
                #expect(!all.contains(untrue), "\(command): \(told)")
            }
        }
        try server.tidemark(
            ["plan", "--target", "immediate", "--data-directory", server.data + ".elsewhere"], expectSuccess: true)
    }

    /// The only backup is the other server's.
    @Test func `where no backup was taken before the other server's WAL, everything would be lost`() throws {
        let group = try ServerGroup(.v15)
        try group.accounted {
            let a = try group.addPrimary()
            try a.psql("create table t (i int)", "select pg_switch_wal()")
            try group.drain(a)
            let k = try group.addCopy("k", of: a)
            try k.psql("insert into t values (-1)", "select pg_switch_wal()")
            try k.tidemark(["backup"], expectSuccess: true)
            try group.drain(k)
            try k.kill()
            for row in [1, 2, 3] { try a.psql("insert into t values (\(row))", "select pg_switch_wal()") }
            try group.wait(for: "the archiver to be refused") {
                try a.psql("select failed_count > 0 from pg_stat_archiver") == "t"
            }
            for (command, words) in [
                (["check", "--only", "rpo"], "Nothing can be recovered: "),
                (["check", "--only", "recovery_window"], "Nothing can be recovered: "), (["status"], "everything  ("),
            ] {
                let told = try a.tidemark(command)
                #expect(
                    told.output.contains(words) && told.output.contains("is not the one that the server in"),
                    "\(command): \(told)")
            }
        }
    }
}

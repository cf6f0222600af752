import Platform
import Support
import Testing

/// A timeline that begins in a segment of which the archive has only the `.partial` of the parent timeline.
@Suite struct OfferedPartialServerTests {
    @Test(arguments: TestServer.ends)
    func `what a refusal with --use-partial offers works as it is printed`(_ version: TestServer) throws {
        let group = try ServerGroup(version)
        try group.accounted {
            let a = try group.addBackedUpPrimary()
            try a.psql("insert into t values (1)", "select pg_switch_wal()")
            try group.drain(a)
            try a.psql("insert into t values (2)", "insert into t values (3)")
            try a.kill()
            group.step("recover in place: the old directory's last segment is archived as .partial")
            // With --start, the server would be told to finish the new timeline's first segment.
            try a.tidemark(
                ["recover", "--target", "latest", "--yes", "--set", "config_file=\(a.serverConfiguration)"],
                expectSuccess: true)
            try a.start()
            try group.wait(for: "the end of recovery") { try a.psql("select pg_is_in_recovery()") == "f" }
            try group.drain(a)
            try a.kill()
            #expect(try group.archived().contains { $0.hasSuffix(".partial") })
            #expect(try !group.archived().contains { $0.hasPrefix("0000000200000") })

            let elsewhere = ["--data-directory", group.directory + "/elsewhere"]
            let refused = try a.tidemark(
                ["plan", "--target", "latest", "--target-timeline", "2", "--use-partial"] + elsewhere)
            #expect(refused.ending == .exited(4) && refused.errors.contains("has not been archived yet"), "\(refused)")
            let offers = refused.errors.matches(of: /(--target[^(;]*) \(/).map {
                $0.output.1.split(separator: " ").map(String.init)
            }
            #expect(offers.contains { $0.contains("--use-partial") }, "\(refused)")
            for offer in offers {
                let planned = try a.tidemark(["plan"] + offer + elsewhere)
                #expect(planned.ending == .exited(0), "\(offer): \(planned)")
            }
        }
    }
}

import Glibc
import Platform
import Support
import Testing

/// What root runs is done as the user who owns the cluster's files.
@Suite struct RootServerTests {
    @Test func `a data directory that root made is refused before anything is restored, and nothing becomes root's`()
        throws
    {
        try #require(geteuid() == 0, "only root can give up root")
        let site = try TestSite()
        try site.tidemark(["backup"], expectSuccess: true)
        try site.archiveEverything()
        try site.cluster.stop()
        try Files.removeTree(site.cluster.data)
        try Files.makeDirectories(site.cluster.data)
        chmod(site.cluster.data, 0o755)
        func recover() throws -> Finished {
            try run(
                Executables.tidemark(),
                ["recover", "--target", "latest", "--start", "--yes", "--config", site.configuration])
        }
        let refused = try recover()
        #expect(refused.ending == .exited(1), "\(refused)")
        let offered = try #require(refused.errors.firstMatch(of: /as root: (chown .*)/), "\(refused)").output.1
        #expect(try Files.list(site.cluster.data).isEmpty)
        let places = [site.repository, site.scratch.file("state")]
        let strangers = try run("/usr/bin/find", places + ["-user", "root"])
        #expect(strangers.output == "", "\(strangers)")
        _ = try run("/bin/sh", ["-c", String(offered)])
        let recovered = try recover()
        #expect(recovered.ending == .exited(0), "\(recovered)")
    }
}

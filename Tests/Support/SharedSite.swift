import Glibc
import Platform
import Synchronization

extension TestSite {
    /// A site for all tests of a suite, which ends with the process: a static property is never released.
    public static func shared(_ make: () throws -> TestSite) -> Result<TestSite, any Error> {
        Result {
            let site = try make()
            let isFirst = sites.withLock { sites in
                sites.append(site)
                return sites.count == 1
            }
            if isFirst { atexit { TestSite.endShared() } }
            return site
        }
    }

    /// The same, with a table of a thousand rows, a backup, and everything archived.
    public static func sharedWithBackup() -> Result<TestSite, any Error> {
        shared {
            let site = try TestSite(initdb: ["--wal-segsize=1"])
            try site.cluster.psql("create table t as select n, md5(n::text) from generate_series(1, 1000) n")
            try site.tidemark(["backup"], expectSuccess: true)
            try site.archiveEverything()
            return site
        }
    }

    private static func endShared() {
        for site in sites.withLock({ $0 }) {
            try? site.cluster.stop(mode: "immediate")
            try? Files.removeTree(site.cluster.directory)
            try? Files.removeTree(site.scratch.path)
        }
    }
}

private let sites = Mutex<[TestSite]>([])

import FoundationEssentials
import Glibc
import Platform
import Support
import Testing
import WAL

/// How fast the repository grows, with a server over several days.
@Suite struct GrowthTests {
    private struct Usage: Decodable {
        struct Day: Decodable {
            let date: String
            let segments: Int
            let stored: Int64
        }
        let wal: [Day]
        let walBytes, free: Int64
        let walPerDay: Int64?
    }

    private func usage(_ site: TestSite) throws -> Usage {
        let decoder = JSONDecoder()
        decoder.keyDecodingStrategy = .convertFromSnakeCase
        let printed = try site.tidemark(["du", "--json"], expectSuccess: true).output
        return try decoder.decode(Usage.self, from: Data(printed.utf8))
    }

    @Test func `du tells WAL by day and the growth per day, idle days included`() throws {
        let site = try TestSite(initdb: ["--wal-segsize=1"])
        let clock = site.scratch.file("shifted-clock.so")
        let compiled = try run(
            "cc", ["-O2", "-shared", "-fPIC", "-o", clock, Files.parent(#filePath) + "/shifted-clock.c"])
        try #require(compiled.ending == .exited(0), "\(compiled.errors)")
        chmod(clock, 0o755)
        #expect(try usage(site).walPerDay == nil)

        let day: Int64 = 86_400
        let now = Clock.now / 1_000_000
        let noon = now / day * day + day / 2
        let lived: [Int64] = [-9, -8, -6, -5, -2, 0]
        for (number, ago) in lived.enumerated() {
            try site.cluster.stop()
            try site.cluster.start(environment: ["LD_PRELOAD": clock, "CLOCK_AHEAD": "\(noon + ago * day - now)"])
            try site.cluster.psql(
                "create table day\(number) as select i, md5(i::text) from generate_series(1, 10000 * \(number + 1)) i")
            try site.archiveEverything()
        }
        func today() -> Int64 { Clock.now / 1_000_000 / day }
        var (current, found) = (today(), try usage(site))
        while today() != current { (current, found) = (today(), try usage(site)) }
        let dates = lived.map { Moment(microseconds: (noon + $0 * day) * 1_000_000).description.prefix(10) }
        let known = found.wal.filter { $0.date != "unknown" }
        #expect(known.map { $0.date[...] } == dates)
        #expect(found.wal.allSatisfy { $0.segments > 0 && $0.stored > 0 })
        #expect(found.wal.reduce(0) { $0 + $1.stored } == found.walBytes)
        // Of the seven days before today three had something, unless it is tomorrow by now; the eighth and ninth are
        // too long ago.
        try #require(known.count == 6)
        let counted = zip(lived, known).filter { (current - 7..<current).contains(noon / day + $0.0) }
        let growth = counted.reduce(0) { $0 + $1.1.stored } / 7
        #expect(found.walPerDay == growth)
        let text = try site.tidemark(["du", "--days", "2"], expectSuccess: true).output
        #expect(text.contains("WAL of \(dates[5]), ") && text.contains("WAL of \(dates[4]), "))
        #expect(!text.contains("WAL of \(dates[3]), "))
        #expect(text.contains("WAL grows by ") && text.contains(", enough for "))
    }
}

import Glibc
import Platform
import Support
import Testing

/// Tables of more than one file; the long test has more than two gigabytes.
@Suite(.serialized) struct LargeTableTests {
    @Test func `a large table comes back with its late changes`() throws {
        let isSoak = getenv("TIDEMARK_SOAK") != nil
        let rows = isSoak ? 2_200_000 : 22_000
        let shop = try Shop(
            "create table large as select n as id, repeat(md5(n::text), 30) as t from generate_series(1, \(rows)) n",
            "create table noise as select n as id, repeat(md5(n::text), 30) as t from generate_series(1, 2000) n",
            settings: ["max_wal_size": "2GB"])
        try shop.backup()
        try shop.sql("update large set t = 'late' || id where id % 10 = 0; update noise set t = 'x'")
        try shop.sql("insert into large select n, 'more' from generate_series(\(rows + 1), \(rows + 1000)) n")
        let content = "select count(*), sum(hashtextextended(t, id)) from"
        let expected = try shop.sql("\(content) large")
        let size = try #require(Int64(shop.sql("select pg_relation_size('large')")))
        #expect(size > (isSoak ? 2 << 30 : 20 << 20))
        let target = try shop.moment()
        try shop.sql("truncate large")
        try shop.site.archiveEverything()
        let options = ["-t", "shop.public.large", "--target-time", target]
        let finished = try shop.recover(options + ["--into-table=public.again", "--json"])
        #expect(try shop.sql("\(content) again") == expected, "\(finished.errors)")
        if isSoak { print(finished.output) }
    }
}

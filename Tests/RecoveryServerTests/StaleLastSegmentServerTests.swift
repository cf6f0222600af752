import Platform
import Support
import Testing
import WAL

/// A server that died after writing, in its last segment, only the rest of the record that straddles into it. The file,
/// an older one under a new name, has a valid record right after that.
@Suite(.serialized) struct StaleLastSegmentServerTests {
    @Test(arguments: TestServer.allCases)
    func `in place and from a .partial, a file's earlier content is not part of the WAL`(_ server: TestServer) throws {
        let site = try TestSite(server, initdb: ["--wal-segsize=1"])
        let cluster = site.cluster
        try cluster.psql("create table t (n int, x text)")
        try site.tidemark(["backup"], expectSuccess: true)
        try site.archiveEverything()
        try cluster.alterSystem("archive_command", "false")
        let first = try #require(SegmentName(try cluster.psql("select pg_walfile_name(pg_current_wal_lsn())")))
        let insert = "insert into t select g, repeat('x', g % 300) from generate_series(1, 3000) g"
        for _ in 0..<5 { try cluster.psql(insert) }
        try cluster.stop(mode: "immediate")

        let wal = cluster.data + "/pg_wal"
        let names = try Files.list(wal).compactMap { SegmentName($0) }.filter { $0 > first }.sorted()
        var last: SegmentName?
        for name in names {
            guard last == nil else {
                try runAsServerUser("/bin/rm", ["\(wal)/\(name)"])
                continue
            }
            let whole = try Files.read("\(wal)/\(name)", limit: 1 << 20)
            let records = try records(whole, name)
            guard whole[2] & 1 == 1, let begin = records.first?.start, begin < 6000,
                let other = records.first(where: { $0.start > 100_000 && $0.end % 8192 > $0.start % 8192 })
            else { continue }
            let stale = whole[..<begin] + whole[other.start..<other.end]
            let file = site.scratch.file("stale")
            try createDurably(
                file, bytes: stale + [UInt8](repeating: 0, count: whole.count - stale.count), mode: 0o644)
            try runAsServerUser("/bin/cp", [file, "\(wal)/\(name)"], expectSuccess: true)
            // The server was still writing to it.
            try runAsServerUser("/bin/rm", ["-f", "\(wal)/archive_status/\(name).ready"])
            last = name
        }
        let name = try #require(last)

        let finished = try site.tidemark(["recover", "--target", "latest", "--start", "--yes", "--json"])
        try #require(finished.ending == .exited(0), "\(finished.errors)")
        #expect(try RecoverAnswer(finished.output).asPredicted == true, "\(finished.output)")
        let rows = try cluster.psql("select count(*) from t")
        #expect(finished.errors.contains("\(name).partial"), "\(finished.errors)")
        // The same from the archive.
        let copy = try RecoveredDirectory(site)
        let again = try copy.recover(["--target", "latest", "--target-timeline", "1", "--use-partial"])
        try #require(again.ending == .exited(0), "\(again.errors)")
        #expect(try RecoverAnswer(again.output).asPredicted == true, "\(again.output)")
        #expect(try copy.psql("select count(*) from t") == rows)
    }

    /// Offsets of the records that begin in a segment.
    private func records(_ bytes: [UInt8], _ name: SegmentName) throws -> [(start: Int, end: Int)] {
        let start = name.start(segmentSize: UInt32(bytes.count))
        var found: [(start: Int, end: Int)] = []
        var walk = RecordWalk()
        walk.begin(name, length: UInt64(bytes.count), contents: .partial)
        try walk.feed(bytes.span.bytes) { record in
            if record.lsn >= start { found.append((Int(record.lsn - start), Int(record.end - start))) }
            return .more
        }
        return found
    }
}

import Platform
import Support
import TableRecovery
import Testing
import WAL

/// The filtered WAL against PostgreSQL's own reader of it.
@Suite(.serialized) struct WALFilterTests {
    /// A record as pg_waldump shows it.
    private struct Shown: Equatable {
        let manager: String
        let total: String
        let transaction: String
        let place: String
        let text: Substring
        /// Database and file number of the relations that it refers to.
        let relations: [(database: UInt32, number: UInt32)]

        static func == (a: Self, b: Self) -> Bool { a.text == b.text }

        init?(_ line: Substring) {
            guard line.hasPrefix("rmgr: ") else { return nil }
            text = line
            let words = line.split(separator: " ")
            let manager = String(words[1])
            self.manager = manager
            guard let slash = line.firstIndex(of: "/"), let place = line.firstRange(of: "lsn: "),
                let end = line.firstRange(of: ", desc: "), let tx = line.firstRange(of: "tx: ")
            else { return nil }
            total = String(line[line.index(after: slash)...].drop { $0 == " " }.prefix { $0.isNumber })
            transaction = String(line[tx.upperBound...].drop { $0 == " " }.prefix { $0.isNumber })
            self.place = String(line[place.lowerBound..<end.lowerBound])
            // `CREATE base/5/16384` names a file by its path, block references by `rel 1663/5/16384`.
            relations = words.indices.compactMap { index in
                if manager == "Storage", words[index].hasPrefix("base/") {
                    let parts = words[index].split(separator: "/").compactMap { UInt32($0.prefix { $0.isNumber }) }
                    return parts.count == 2 ? (parts[0], parts[1]) : nil
                }
                guard words[index] == "rel", index + 1 < words.count else { return nil }
                let parts = words[index + 1].split(separator: "/").compactMap { UInt32($0) }
                return parts.count == 3 ? (parts[1], parts[2]) : nil
            }
        }
    }

    @Test(arguments: TestServer.allCases)
    func `only unneeded records become NOOPs, and nothing else changes`(_ server: TestServer) throws {
        let cluster = try TestCluster(
            server, settings: ["min_wal_size": "400MB", "max_wal_size": "800MB", "wal_keep_size": "400MB"],
            initdb: ["--wal-segsize=1"])
        try cluster.psql("create database shop")
        try cluster.psql("create database other")
        func shop(_ text: String) throws { try cluster.psql(text, database: "shop") }
        try shop(
            "create table wanted (id int primary key, t text); create table noise (id int primary key, t text); create index on noise using hash (t)"
        )
        let database = try #require(UInt32(try cluster.psql("select oid from pg_database where datname = 'shop'")))
        let leftOut = try cluster.psql(
            "select pg_relation_filenode(oid) from pg_class where relname ~ '^(noise|wanted_pkey)'", database: "shop"
        ).split(separator: "\n").compactMap { UInt32($0) }
        #expect(leftOut.count == 4)
        try cluster.psql("select pg_switch_wal()")
        let first = try cluster.psql("select pg_walfile_name(pg_current_wal_insert_lsn())")
        try cluster.psql("checkpoint")
        for round in 0..<2 {
            try shop(
                "insert into wanted select n, repeat(md5(n::text), 20) from generate_series(\(round * 1000), \(round * 1000 + 299)) n"
            )
            try shop(
                "insert into noise select n, repeat(md5(n::text), 20) from generate_series(\(round * 2000), \(round * 2000 + 599)) n"
            )
            try shop(
                "update noise set t = t || 'x' where id % 3 = 0; delete from noise where id % 7 = 0; update wanted set t = 'y' where id % 9 = 0"
            )
            try cluster.psql(
                "create table t\(round) as select n, repeat('z', 900) from generate_series(1, 1000) n; checkpoint",
                database: "other")
            try shop("vacuum noise")
            try shop("select pg_logical_emit_message(false, 'long', repeat('m', 2500000))")
        }
        let last = try cluster.psql("select pg_walfile_name(pg_switch_wal())")
        try cluster.stop()

        let scratch = try Scratch()
        let names = try Files.list(cluster.data + "/pg_wal").filter { $0 >= first && $0 <= last }.sorted().compactMap {
            SegmentName($0)
        }
        #expect(names.count > 5)
        var filter = WALFilter(
            WALFilterRules(database: database, leftOut: Set(leftOut)), segmentSize: 1 << 20)
        func keep(_ segments: [ReplaySegment]) throws {
            for segment in segments {
                try createDurably(scratch.file(segment.name.description), bytes: segment.bytes, mode: 0o644)
            }
        }
        for name in names {
            try keep(filter.add(ReplaySegment(name: name, bytes: Files.read("\(cluster.data)/pg_wal/\(name)"))))
        }
        try keep(filter.finish())

        func dump(_ directory: String) throws -> [Shown] {
            try runAsServerUser(
                server.bin + "/pg_waldump", ["-p", directory, first, last], expectSuccess: false
            ).output.split(separator: "\n").compactMap(Shown.init)
        }
        let before = try dump(cluster.data + "/pg_wal")
        let after = try dump(scratch.path)
        #expect(before.count > 2000)
        #expect(before.count == after.count)
        var voided = 0
        var wrong: [String] = []
        for (old, new) in zip(before, after) {
            let unneeded =
                !old.relations.isEmpty
                && old.relations.allSatisfy {
                    $0.database != 0 && ($0.database != database || leftOut.contains($0.number))
                }
                // Before 15 CREATE DATABASE copies files: "copy dir 1663/1 to 1663/16390".
                || old.manager == "Database" && !old.text.hasSuffix("/\(database)")
            if unneeded {
                voided += 1
                let same =
                    new.manager == "XLOG" && new.text.contains("NOOP") && new.total == old.total
                    && new.transaction == old.transaction && new.place == old.place && new.relations.isEmpty
                if !same { wrong.append("\(old.text) → \(new.text)") }
            } else if old != new {
                wrong.append("\(old.text) → \(new.text)")
            }
        }
        #expect(wrong.isEmpty, "\(wrong.prefix(3))")
        #expect(voided > 1000)
        #expect(filter.voided == voided)
    }

    @Test func `a damaged record ends the filter`() throws {
        let cluster = try TestCluster(
            settings: ["min_wal_size": "400MB", "max_wal_size": "800MB", "wal_keep_size": "400MB"],
            initdb: ["--wal-segsize=1"])
        try cluster.psql("select pg_switch_wal()")
        let first = try cluster.psql("select pg_walfile_name(pg_current_wal_insert_lsn())")
        try cluster.psql("create table t as select n, md5(n::text) from generate_series(1, 20000) n")
        try cluster.stop()
        let name = try #require(SegmentName(first))
        var bytes = try Files.read("\(cluster.data)/pg_wal/\(first)")
        // Between two records up to seven bytes mean nothing.
        for index in 300_000..<300_008 { bytes[index] ^= 1 }
        var filter = WALFilter(WALFilterRules(database: 1, leftOut: []), segmentSize: 1 << 20)
        let error = #expect(throws: WALDamage.self) { try filter.add(ReplaySegment(name: name, bytes: bytes)) }
        #expect(error != nil)
    }
}

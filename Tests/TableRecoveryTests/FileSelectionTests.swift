import Backups
import Restoring
import TableRecovery
import Testing

@Suite struct FileSelectionTests {
    /// A database with a wanted table, a partitioned one, and others.
    private static let map = RelationMap(
        databases: [.init(oid: 5, name: "postgres"), .init(oid: 16384, name: "shop")],
        relations: [
            // A catalog whose file has a high number after VACUUM FULL.
            .init(database: 16384, oid: 1259, fileNode: 17000, schema: "pg_catalog", name: "pg_class", kind: "r"),
            .init(
                database: 16384, oid: 2613, fileNode: 2613, schema: "pg_catalog", name: "pg_largeobject", kind: "r"),
            .init(
                database: 16384, oid: 16400, fileNode: 16400, schema: "public", name: "orders", kind: "r", toast: 16403),
            .init(
                database: 16384, oid: 16403, fileNode: 16403, schema: "pg_toast", name: "pg_toast_16400", kind: "t"),
            .init(
                database: 16384, oid: 16404, fileNode: 16404, schema: "pg_toast", name: "pg_toast_16400_index",
                kind: "i", indexOf: 16403, accessMethod: "btree"),
            .init(
                database: 16384, oid: 16405, fileNode: 16405, schema: "public", name: "orders_pkey", kind: "i",
                indexOf: 16400, accessMethod: "btree"),
            .init(database: 16384, oid: 16410, fileNode: 16999, schema: "public", name: "items", kind: "r"),
            .init(
                database: 16384, oid: 16411, fileNode: 16411, schema: "public", name: "items_brin", kind: "i",
                indexOf: 16410, accessMethod: "brin"),
            .init(database: 16384, oid: 16420, fileNode: 16420, schema: "public", name: "items_id_seq", kind: "S"),
            .init(database: 16384, oid: 16430, fileNode: nil, schema: "public", name: "sales", kind: "p"),
            .init(
                database: 16384, oid: 16431, fileNode: 16431, schema: "old", name: "sales_1", kind: "r",
                partitionOf: 16430),
            .init(database: 5, oid: 16400, fileNode: 16400, schema: "public", name: "other", kind: "r"),
        ])

    private static func selection(_ table: String, _ method: FileSelection.Method = .holes) throws -> FileSelection {
        FileSelection(of: [try TablePattern(table)], in: "shop", map: map, method: method)
    }

    @Test(arguments: [
        ("base/16384/16400", RestoreTreatment.whole), ("base/16384/16400.1", .whole), ("base/16384/16400_vm", .whole),
        ("base/16384/16403", .whole), ("base/16384/16404", .whole),  // TOAST and its index
        ("base/16384/16405", .hole),  // its own index: only COPY reads the table
        ("base/16384/16999", .hole), ("base/16384/16999.2", .hole), ("base/16384/16999_fsm", .hole),
        ("base/16384/16411", .whole),  // BRIN
        ("base/16384/16420", .whole),  // sequence
        ("base/16384/16431", .hole), ("base/16384/17000", .whole), ("base/16384/2613", .hole),
        ("base/16384/99999", .whole),  // unknown: restored
        ("base/16384/PG_VERSION", .whole), ("base/16384/pg_filenode.map", .whole), ("base/16384", .whole),
        ("base/5/16400", .hole), ("base/5/1259", .hole), ("base/5/PG_VERSION", .absent),
        ("base/5/pg_filenode.map", .whole), ("global/1262", .whole), ("pg_xact/0000", .whole),
        ("pg_tblspc/16390/PG_15_202209061/16384/16999", .hole), ("pg_tblspc/16390/PG_15_202209061/16384/16400", .whole),
        ("pg_tblspc/16390/PG_15_202209061/5/77", .hole),
    ])
    func `holes stand in for what one table does not need`(_ path: String, _ expected: RestoreTreatment) throws {
        #expect(try FileSelectionTests.selection("shop.public.orders").treatment(of: path, size: 2 << 20) == expected)
    }

    @Test(arguments: [
        ("base/16384/16400", RestoreTreatment.whole), ("base/16384/16999", .absent), ("base/16384/16411", .absent),
        ("base/16384/16420", .whole), ("base/5", .absent), ("base/5/pg_filenode.map", .absent),
        ("base/16384/99999", .whole), ("global/1262", .whole),
    ])
    func `with filtered WAL they do not exist`(_ path: String, _ expected: RestoreTreatment) throws {
        #expect(
            try FileSelectionTests.selection("shop.public.orders", .filteredWAL).treatment(of: path, size: 2 << 20)
                == expected)
    }

    @Test func `a small file is left out without a hole`() throws {
        let selection = try FileSelectionTests.selection("shop.public.orders")
        #expect(selection.treatment(of: "base/16384/16999", size: 8192) == .absent)
        #expect(selection.treatment(of: "base/5/1259", size: 8192) == .absent)
        #expect(selection.treatment(of: "base/16384/16400", size: 8192) == .whole)
    }

    @Test func `partitions come with their table, in whatever schema`() throws {
        #expect(
            try FileSelectionTests.selection("shop.public.sales").treatment(of: "base/16384/16431", size: 2 << 20)
                == .whole)
    }

    @Test func `files that an earlier pass found needed are restored`() throws {
        let selection = FileSelection(
            of: [try TablePattern("shop.public.orders")], in: "shop", map: FileSelectionTests.map, method: .holes,
            keeping: [16999])
        #expect(selection.treatment(of: "base/16384/16999", size: 2 << 20) == .whole)
        #expect(!selection.leftOut.contains(16999))
    }

    @Test func `of a database that the backup does not know everything is restored`() throws {
        let selection = FileSelection(
            of: [try TablePattern("later.public.t")], in: "later", map: FileSelectionTests.map, method: .holes)
        #expect(selection.treatment(of: "base/16384/16999", size: 2 << 20) == .whole)
        #expect(selection.treatment(of: "base/5/16400", size: 2 << 20) == .whole)
    }
}

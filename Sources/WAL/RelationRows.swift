import Messages

/// A row of pg_class as a WAL record leaves it: a relation was created, renamed, moved or rewritten.
public struct RelationRow: Hashable, Sendable {
    public let lsn: LSN
    /// The transaction or subtransaction that wrote it, which may have been rolled back.
    public let xid: UInt32
    public let oid: UInt32
    public let name: String
    /// OID of the schema.
    public let schema: UInt32
    /// `pg_class.relkind`.
    public let kind: String

    /// - Parameter row: the row's data after the tuple header; up to relkind all columns have a fixed length.
    init?(_ row: [UInt8], lsn: LSN, xid: UInt32, version: WALVersion) {
        // 18 has relallfrozen before it.
        let kind = version >= .v18 ? 119 : 115
        guard row.count > kind else { return nil }
        self.lsn = lsn
        self.xid = xid
        oid = number(row, at: 0)
        name = text(row, 4..<68)
        schema = number(row, at: 68)
        self.kind = String(decoding: row[kind...kind], as: UTF8.self)
    }
}

/// Follows the changes that the WAL makes to one database's pg_class and pg_namespace: the names of relations that no
/// backup has are found nowhere else.
///
/// Used like `RecordWalk`. Earlier rows become known from full-page images, which the first change to a page after a
/// checkpoint carries.
public struct RelationRows: ~Copyable {
    private var reader = SegmentReader(goesOn: true)
    private var rows: CatalogRows

    /// - Parameters:
    ///   - relations: the file number of pg_class.
    ///   - schemas: the file number of pg_namespace.
    ///   - start: records before it are ignored; a checkpoint's redo position, so that full-page images come first.
    public init(database: UInt32, relations: UInt32, schemas: UInt32, from start: LSN) {
        rows = CatalogRows(database: database, relations: relations, schemas: schemas, start: start)
    }

    /// Follows the names of databases.
    /// - Parameter file: the file number of pg_database.
    public init(databases file: UInt32, from start: LSN) {
        rows = CatalogRows(database: 0, relations: file, schemas: file, start: start)
    }

    /// Starts the next segment.
    /// - Parameter follows: whether it continues the previous one on the same history.
    public mutating func begin(_ name: SegmentName, length: UInt64, contents: SegmentContents, follows: Bool) {
        if !follows { reader = SegmentReader(goesOn: true) }
        reader.begin(name, length: length, contents: contents)
    }

    /// Takes the segment's next bytes, a multiple of 8192.
    public mutating func feed(_ chunk: RawSpan) throws(WALDamage) { try reader.feed(chunk, &rows) }

    /// The rows found so far.
    public var told: LoggedRelations { rows.told }
}

/// What the WAL shows of the relations and schemas of a database, or of the databases.
public struct LoggedRelations: Sendable {
    fileprivate struct Name {
        let lsn: LSN
        let xid: UInt32
        let name: String
    }
    fileprivate var changes: [UInt32: [RelationRow]] = [:]
    fileprivate var names: [UInt32: [Name]] = [:]
    fileprivate var aborted: Set<UInt32> = []

    /// The row of a relation after the last transaction before `lsn` that wasn't rolled back.
    public func row(of oid: UInt32, before lsn: LSN) -> RelationRow? {
        changes[oid]?.last { $0.lsn < lsn && !aborted.contains($0.xid) }
    }

    /// The names that a schema is known to have had.
    public func schemaNames(_ oid: UInt32) -> Set<String> { Set((names[oid] ?? []).map(\.name)) }

    /// The OIDs of databases that have had a name.
    public func databases(named name: String) -> Set<UInt32> {
        Set(names.filter { $0.value.contains { $0.name == name && !aborted.contains($0.xid) } }.keys)
    }

    /// The name that the last transaction before `lsn` that wasn't rolled back gave a database; nil when the WAL
    /// doesn't show it.
    public func databaseName(_ oid: UInt32, before lsn: LSN) -> String? {
        names[oid]?.last { $0.lsn < lsn && !aborted.contains($0.xid) }?.name
    }
}

private struct CatalogRows: RecordVisitor {
    private struct Place: Hashable {
        let file: UInt32, block: UInt32
    }
    private let database: UInt32
    private let relations: UInt32
    private let schemas: UInt32
    private let start: LSN
    /// The known rows of pages, by their line pointer number.
    private var pages: [Place: [UInt16: [UInt8]]] = [:]
    private var isConcerned = false
    private(set) var told = LoggedRelations()

    init(database: UInt32, relations: UInt32, schemas: UInt32, start: LSN) {
        (self.database, self.relations, self.schemas, self.start) = (database, relations, schemas, start)
    }

    mutating func block(
        id: UInt8, fork: UInt8, tablespace: UInt32, database: UInt32, number: UInt32, block: UInt32,
        dataLength: Int, imageLength: UInt32, imageIsRestored: Bool, imageHeader: Int
    ) {
        if database == self.database, number == relations || number == schemas { isConcerned = true }
    }

    mutating func record(_ header: RecordHeader, end: LSN, version: WALVersion, main: RawSpan) -> RecordVerdict {
        guard header.manager == .transaction else { return .good }
        guard let kind = RecordKind.decode(header, end: end, version: version, main: main) else { return .malformed }
        if case .abort(let transaction) = kind {
            told.aborted.insert(transaction.xid)
            told.aborted.formUnion(transaction.subtransactions)
        }
        return .good
    }

    mutating func contents(_ record: RawSpan, _ header: RecordHeader, version: WALVersion) {
        guard isConcerned else { return }
        isConcerned = false
        guard header.lsn >= start, record.byteCount == Int(header.length) else { return }
        let (blocks, main) = BlockContents.all(in: record, version: version)
        for block in blocks where isOurs(block) { take(block) }
        guard header.manager == .heap, let first = blocks.first, isOurs(first) else { return }
        let written: (number: UInt16, row: [UInt8]?)
        switch header.info & HeapInfo.operation {
        // xl_heap_insert, and xl_heap_update for both of its kinds (src/include/access/heapam_xlog.h).
        case HeapInfo.insert where main.count >= 3:
            let number = UInt16(number(main, at: 0) & 0xFFFF)
            written = (number, inserted(first, number))
        case HeapInfo.update where main.count >= 14, HeapInfo.hotUpdate where main.count >= 14:
            let number = UInt16(main[12]) | UInt16(main[13]) << 8
            let old = UInt16(main[4]) | UInt16(main[5]) << 8
            written = (number, updated(first, number, flags: main[7], from: blocks.last ?? first, old))
        default: return
        }
        let place = Place(file: first.file.number, block: first.block)
        pages[place, default: [:]][written.number] = written.row
        guard let row = written.row else { return }
        if first.file.number == schemas {
            note(name: row, header)
        } else if let change = RelationRow(row, lsn: header.lsn, xid: header.xid, version: version) {
            told.changes[change.oid, default: []].append(change)
        }
    }

    private func isOurs(_ block: BlockContents) -> Bool {
        block.fork == Fork.main.rawValue && block.file.database == database
            && (block.file.number == relations || block.file.number == schemas)
    }

    /// Rows of pg_namespace and of pg_database begin alike.
    private mutating func note(name row: [UInt8], _ header: RecordHeader) {
        guard row.count >= 68 else { return }
        told.names[number(row, at: 0), default: []].append(
            LoggedRelations.Name(lsn: header.lsn, xid: header.xid, name: text(row, 4..<68)))
    }

    /// Takes all rows of a page of which the record has an image.
    private mutating func take(_ block: BlockContents) {
        let place = Place(file: block.file.number, block: block.block)
        // Without an image, the known rows of the page are still valid, except for the change of this record.
        if let page = block.image { pages[place] = rowsOfPage(page) }
    }

    /// A row from the full-page image of the record.
    private func fromImage(_ block: BlockContents, _ number: UInt16) -> [UInt8]? {
        guard block.image != nil else { return nil }
        return pages[Place(file: block.file.number, block: block.block)]?[number]
    }

    /// The row that an insertion put into a page.
    private func inserted(_ block: BlockContents, _ number: UInt16) -> [UInt8]? {
        if block.data.isEmpty { return fromImage(block, number) }
        return row(block.data[...])
    }

    /// The new row of an update; parts it shares with the old one aren't in the record.
    private func updated(
        _ block: BlockContents, _ number: UInt16, flags: UInt8, from other: BlockContents, _ oldNumber: UInt16
    ) -> [UInt8]? {
        if block.data.isEmpty { return fromImage(block, number) }
        var data = block.data[...]
        var lengths = [0, 0]
        for (index, bit) in [HeapInfo.prefixFromOld, HeapInfo.suffixFromOld].enumerated() where flags & bit != 0 {
            guard data.count >= 2 else { return nil }
            lengths[index] = Int(data[data.startIndex]) | Int(data[data.startIndex + 1]) << 8
            data = data.dropFirst(2)
        }
        guard let changed = row(data) else { return nil }
        if lengths == [0, 0] { return changed }
        guard let old = pages[Place(file: other.file.number, block: other.block)]?[oldNumber],
            lengths[0] + lengths[1] <= old.count
        else { return nil }
        return old.prefix(lengths[0]) + changed + old.suffix(lengths[1])
    }

    /// A row after the 5 bytes of its header that a record keeps (`xl_heap_header`), and after its null bitmap.
    private func row(_ data: ArraySlice<UInt8>) -> [UInt8]? {
        guard data.count >= 5 else { return nil }
        let bitmap = Int(data[data.startIndex + 4]) - 23
        guard bitmap >= 0, data.count >= 5 + bitmap else { return nil }
        return Array(data.dropFirst(5 + bitmap))
    }
}

/// The rows of a heap page, by their number (src/include/storage/bufpage.h).
private func rowsOfPage(_ page: [UInt8]) -> [UInt16: [UInt8]] {
    var rows: [UInt16: [UInt8]] = [:]
    let end = Int(page[12]) | Int(page[13]) << 8
    guard end >= 24, end <= page.count else { return [:] }
    for (index, at) in stride(from: 24, to: end - 3, by: 4).enumerated() {
        let item = number(page, at: at)
        let (start, state, length) = (Int(item & 0x7FFF), item >> 15 & 3, Int(item >> 17))
        guard state == 1, length >= 24, start + length <= page.count else { continue }
        let header = Int(page[start + 22])
        guard header >= 23, header <= length else { continue }
        rows[UInt16(index + 1)] = Array(page[start + header..<start + length])
    }
    return rows
}

/// Four bytes, little-endian; missing ones count as 0.
private func number(_ bytes: [UInt8], at place: Int) -> UInt32 {
    (0..<4).reduce(0) { $0 | (place + $1 < bytes.count ? UInt32(bytes[place + $1]) << UInt32(8 * $1) : 0) }
}

/// A name, up to the first zero.
private func text(_ bytes: [UInt8], _ range: Range<Int>) -> String {
    Array(bytes[range].prefix { $0 != 0 }).withUnsafeBytes(ServerText.string)
}

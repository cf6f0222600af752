internal import CChecksum

/// CREATE TABLESPACE as a copy of the cluster may replay it: the tablespace is created in the copy's own directory.
///
/// The record has the absolute path of the tablespace's directory, and redo would use it for the copy, too: a directory
/// of the original's server. If the path is empty, PostgreSQL uses `pg_tblspc/<oid>` itself, a directory, or the target
/// of an existing link of that name (`create_tablespace_directories`, src/backend/commands/tablespace.c; since 13.8 and
/// 14.5; servers before these stop at such a record).
enum ConfinedTablespace {
    /// The possible lengths of a record of this kind: a header, the data's header and a number, up to MAXPGPATH more.
    static let lengths: ClosedRange<UInt32> = 30...2048

    /// Whether a record that continues with these bytes may create a tablespace, whatever its first bytes in the
    /// previous segment were: records start at multiples of 8.
    static func mayConcern(start: [UInt8]) -> Bool {
        [0, 8].contains { at in
            start.count >= at + 2 && start[at + 1] == ResourceManager.tablespace.rawValue
                && start[at] & RecordInfo.operation == TablespaceInfo.create
        }
    }

    /// Whether a record that continues with these bytes certainly creates a tablespace: its resource manager, its info
    /// byte and its checksum are among them.
    static func concerns(start: [UInt8], before segment: LSN) -> Bool {
        [0, 8].contains { at in
            guard start.count >= at + 4, mayConcern(start: Array(start[at...])) else { return false }
            let bytes = start.span.bytes
            // The padding of a header is zero (`XLogRecord`), and its previous record lies before it.
            return bytes.u16(at + 2) == 0 && (at == 0 || LSN(bytes.u64(0)) < segment)
        }
    }

    /// Whether a record with this header creates a tablespace (`XLOG_TBLSPC_CREATE`).
    static func concerns(_ header: [UInt8]) -> Bool {
        header.count >= 18 && header[17] == ResourceManager.tablespace.rawValue
            && header[16] & RecordInfo.operation == TablespaceInfo.create
    }

    /// The replacement of a record that lies in one segment.
    static func record(_ original: RecordHeader, oid: UInt32) -> [UInt8] {
        var bytes: [UInt8] = []
        func add(_ value: some FixedWidthInteger) {
            withUnsafeBytes(of: value.littleEndian) { bytes.append(contentsOf: $0) }
        }
        add(original.length)
        add(original.xid)
        add(original.previous.rawValue)
        add(original.info & RecordInfo.operation)
        add(ResourceManager.tablespace.rawValue)
        add(UInt16(0))
        add(UInt32(0))
        bytes += NoOperation.bodyHead(original.length)
        add(oid)
        bytes += [UInt8](repeating: 0, count: Int(original.length) - bytes.count)
        let crc = bytes.withUnsafeBytes { tidemark_crc32c_record($0.baseAddress!, $0.count) }
        withUnsafeBytes(of: crc.littleEndian) { bytes.replaceSubrange(20..<24, with: $0) }
        return bytes
    }

    /// The replacement of a record that lies in two segments.
    ///
    /// A segment is delivered before the next one is known, and both must get halves of the same record. So the first
    /// one's bytes decide: if they include the tablespace's OID, the path becomes empty; else the record becomes a
    /// NOOP, and redo creates the tablespace's directory with its first file. If not even the checksum is in the first
    /// segment, nothing there has to change, and the second one decides.
    ///
    /// - Parameters:
    ///   - known: the record's first bytes, at least 24; all that its first segment holds, or more.
    ///   - length: the whole record's.
    ///   - cut: how many of its bytes are in its first segment.
    static func record(_ known: [UInt8], length: UInt32, cut: Int) -> [UInt8] {
        let bytes = known.span.bytes
        let header = RecordHeader(
            lsn: .zero, previous: LSN(bytes.u64(8)), length: length, xid: bytes.u32(4), info: bytes.u8(16),
            manager: ResourceManager(rawValue: bytes.u8(17)), crc: bytes.u32(20))
        if let at = oidOffset(known, visible: cut < 24 ? known.count : min(cut, known.count)) {
            return record(header, oid: bytes.u32(at))
        }
        let noop = NoOperation(header, body: NoOperation.bodyState(length))
        var record = [UInt8](repeating: 0, count: Int(length))
        record.withUnsafeMutableBytes { noop.write(0..<Int(length), to: $0) }
        return record
    }

    /// Whether the checksum of a whole record is correct.
    static func isValid(_ record: [UInt8]) -> Bool {
        guard record.count >= 24 else { return false }
        return record.withUnsafeBytes { tidemark_crc32c_record($0.baseAddress!, $0.count) } == record.span.bytes.u32(20)
    }

    /// The offset of the tablespace's OID, after the main data's header; nil where the visible bytes end before.
    private static func oidOffset(_ known: [UInt8], visible: Int) -> Int? {
        var at = 24
        while at < visible {
            switch known[at] {
            case BlockID.dataShort: return at + 6 <= visible ? at + 2 : nil
            case BlockID.dataLong: return at + 9 <= visible ? at + 5 : nil
            case BlockID.origin: at += 3
            case BlockID.topLevelXID: at += 5
            default: return nil
            }
        }
        return nil
    }
}

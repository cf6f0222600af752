public import Platform
public import Repository
import WAL

/// The repository holds another file under the same name.
public struct ArchiveConflict: Explained, Equatable {
    public let file: String
    public let location: String
    /// Bytes from the start of the file.
    public let firstDifference: UInt64
    /// That place in the log; nil for files that aren't segments.
    public let position: String?
    /// Both files have the same valid records; the difference lies only behind the last of them. Nil when unknown.
    public let onlyBehindLastRecord: Bool?
    public let archived: Digest
    public let offered: Digest

    public var message: String {
        "\"\(file)\" already exists in repository \"\(location)\" with different contents"
    }
    public var detail: String? {
        let place = position.map { " (\($0))" } ?? ""
        let records =
            switch onlyBehindLastRecord {
            case true?: ", behind the last valid record of both"
            case false?: ", before the end of the valid records"
            case nil: ""
            }
        return "The first difference is at offset \(firstDifference)\(place)\(records). "
            + "Archived XXH3-128 is \(archived), the offered file has \(offered)."
    }
    public var hint: String? {
        if onlyBehindLastRecord == true {
            return "Nothing was overwritten. Both hold the same transactions; if the archived one is complete, "
                + "the offered one need not be kept."
        }
        return "Nothing was overwritten. Do two servers archive into this cluster, for example an old primary after a "
            + "failover? Only one of them may go on with archive_command; give the other a cluster of its own."
    }
}

extension ArchiveConflict {
    /// Compares the stored file with the offered one and says how they differ; nil when they are the same.
    static func between(
        _ stored: StoredSegment, and local: LocalFile, digest: Digest, name: ArchiveFileName, location: String
    ) throws -> ArchiveConflict? {
        if stored.head.digest == digest && stored.head.rawLength == UInt64(local.size) { return nil }
        let difference = try firstDifference(stored, local)
        var position: String?
        var behind: Bool?
        if let summary = try? SegmentSummary(decoding: stored.head.summary) {
            position = (summary.start + difference).description
            // Up to the difference the offered file has the archived one's records; it may have more of them.
            let own = scan(local, as: name)
            let end = max(recordsEnd(summary), own.map(recordsEnd) ?? .zero)
            behind = difference >= end - summary.start
        }
        return ArchiveConflict(
            file: name.description, location: location, firstDifference: difference, position: position,
            onlyBehindLastRecord: behind, archived: stored.head.digest, offered: digest)
    }

    /// Behind the last valid record. A segment switch counts as reaching to the segment's end; its record has 24 bytes.
    private static func recordsEnd(_ summary: SegmentSummary) -> LSN {
        guard summary.ending == .switch, let last = summary.lastRecord else { return summary.end }
        return last + 24
    }

    private static func firstDifference(_ stored: StoredSegment, _ local: LocalFile) throws -> UInt64 {
        struct Found: Error { let offset: UInt64 }
        let window = UnsafeMutableRawBufferPointer.allocate(byteCount: 2 << 20, alignment: 4096)
        defer { window.deallocate() }
        var offset: UInt64 = 0
        var decompressor = try Decompressor()
        do {
            try stored.extract(with: &decompressor) { piece in
                let count = try local.read(
                    into: UnsafeMutableRawBufferPointer(rebasing: window[..<piece.count]), at: Int64(offset))
                for index in 0..<count where window[index] != piece[index] {
                    throw Found(offset: offset + UInt64(index))
                }
                offset += UInt64(count)
                if count < piece.count { throw Found(offset: offset) }
            }
        } catch let found as Found {
            return found.offset
        }
        return offset
    }

    /// What can be learned of the offered file, by the more forgiving rules for files that end early.
    private static func scan(_ local: LocalFile, as name: ArchiveFileName) -> SegmentSummary? {
        guard let segment = name.segmentName else { return nil }
        var scanner = SegmentScanner(name: segment, length: UInt64(local.size), contents: .partial)
        do {
            try local.forEachPiece { try scanner.feed($0.bytes) }
            return try scanner.finish()
        } catch { return nil }
    }
}

extension ArchiveFileName {
    /// The segment whose bytes the file holds, for a segment or a `.partial`.
    var segmentName: SegmentName? {
        switch self {
        case .segment(let name), .partial(let name): name
        case .history, .backupHistory: nil
        }
    }
}

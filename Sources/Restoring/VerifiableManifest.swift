import Backups
import CChecksum
import Platform
import WAL

/// `backup_manifest` in pg_verifybackup's format
/// (<https://www.postgresql.org/docs/current/backup-manifest-format.html>).
struct VerifiableManifest {
    /// Text that is not written yet.
    private(set) var pending: [UInt8]
    private var isFirst = true
    private var isFinished = false
    /// The checksum of the text written so far.
    private var sum = tidemark_sha256_sum()

    /// - Parameter major: since 17 there is a system identifier, in version 2 of the format.
    init(major: Int, systemIdentifier: UInt64) {
        tidemark_sha256_begin(&sum)
        let head =
            major >= 17
            ? "{ \"PostgreSQL-Backup-Manifest-Version\": 2,\n\"System-Identifier\": \(systemIdentifier),\n"
            : "{ \"PostgreSQL-Backup-Manifest-Version\": 1,\n"
        pending = Array((head + "\"Files\": [\n").utf8)
    }

    /// - Parameters:
    ///   - modified: microseconds since 1970.
    ///   - checksum: CRC-32C.
    mutating func add(path: String, size: Int64, modified: Int64, checksum: UInt32) {
        let time = Moment(microseconds: modified / 1_000_000 * 1_000_000).description.dropLast(3)
        // The checksum's bytes in their order in memory.
        let digits = (0..<4).map { hex(UInt8(truncatingIfNeeded: checksum >> (8 * $0))) }.joined()
        if !isFirst { pending += Array(",\n".utf8) }
        isFirst = false
        pending += Array(
            """
            { "Path": \(quotedForJSON(path)), "Size": \(size), "Last-Modified": "\(time) GMT", \
            "Checksum-Algorithm": "CRC32C", "Checksum": "\(digits)" }
            """.utf8)
    }

    /// Ends the text; its last line is the checksum of all lines before.
    mutating func finish(timeline: TimelineID, start: LSN, end: LSN) {
        pending += Array(
            """

            ],
            "WAL-Ranges": [
            { "Timeline": \(timeline), "Start-LSN": "\(start)", "End-LSN": "\(end)" }
            ],

            """.utf8)
        var digest = [UInt8](repeating: 0, count: 32)
        pending.withUnsafeBytes { tidemark_sha256_finish(&sum, $0.baseAddress, $0.count, &digest) }
        pending += Array("\"Manifest-Checksum\": \"\(digest.map(hex).joined())\"}\n".utf8)
        isFinished = true
    }

    /// Writes the pending text, so that it takes no more memory.
    mutating func hand(to file: borrowing Descriptor, _ path: String) throws {
        let count = isFinished ? pending.count : pending.count / 64 * 64
        try pending[..<count].withUnsafeBytes { bytes in
            try file.write(bytes, path: path)
            if !isFinished { tidemark_sha256_blocks(&sum, bytes.baseAddress, bytes.count) }
        }
        pending.removeFirst(count)
    }

    private func hex(_ byte: UInt8) -> String { (byte < 16 ? "0" : "") + String(byte, radix: 16) }
}

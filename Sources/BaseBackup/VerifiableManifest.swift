import CChecksum
import Platform
import WAL

/// `backup_manifest` as pg_verifybackup reads it
/// (<https://www.postgresql.org/docs/current/backup-manifest-format.html>).
struct VerifiableManifest {
    private var text: [UInt8]
    private var isFirst = true

    /// - Parameter major: 17 began to name the system identifier, in version 2 of the format.
    init(major: Int, systemIdentifier: UInt64) {
        text =
            major >= 17
            ? Array(
                "{ \"PostgreSQL-Backup-Manifest-Version\": 2,\n\"System-Identifier\": \(systemIdentifier),\n\"Files\": [\n"
                    .utf8)
            : Array("{ \"PostgreSQL-Backup-Manifest-Version\": 1,\n\"Files\": [\n".utf8)
    }

    /// - Parameters:
    ///   - modified: microseconds since 1970.
    ///   - checksum: CRC-32C.
    mutating func add(path: String, size: Int64, modified: Int64, checksum: UInt32) {
        let time = Moment(microseconds: modified / 1_000_000 * 1_000_000).description.dropLast(3)
        // The checksum's bytes as they lie in memory.
        let digits = (0..<4).map { hex(UInt8(truncatingIfNeeded: checksum >> (8 * $0))) }.joined()
        if !isFirst { text += Array(",\n".utf8) }
        isFirst = false
        text += Array(
            """
            { "Path": \(quotedForJSON(path)), "Size": \(size), "Last-Modified": "\(time) GMT", \
            "Checksum-Algorithm": "CRC32C", "Checksum": "\(digits)" }
            """.utf8)
    }

    consuming func finish(timeline: TimelineID, start: LSN, end: LSN) -> [UInt8] {
        var text = text
        text += Array(
            """

            ],
            "WAL-Ranges": [
            { "Timeline": \(timeline), "Start-LSN": "\(start)", "End-LSN": "\(end)" }
            ],

            """.utf8)
        var digest = [UInt8](repeating: 0, count: 32)
        text.withUnsafeBytes { tidemark_sha256($0.baseAddress, $0.count, &digest) }
        return text + Array("\"Manifest-Checksum\": \"\(digest.map(hex).joined())\"}\n".utf8)
    }

    private func hex(_ byte: UInt8) -> String { (byte < 16 ? "0" : "") + String(byte, radix: 16) }
}

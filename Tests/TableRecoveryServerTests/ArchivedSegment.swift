import Glibc
import Platform
import Repository
import Support
import Testing
import WAL

extension Shop {
    /// Changes eight bytes of an archived segment: between two records up to seven mean nothing.
    func damageArchived(at lsn: LSN) throws {
        try changeArchived(at: lsn) { bytes, place in
            for index in place..<min(place + 8, bytes.count) { bytes[index] ^= 0xFF }
        }
    }

    /// Changes the archived segment of 1 MB that contains `lsn`, and corrects its checksums.
    ///
    /// - Parameter change: gets the segment's bytes and where in them `lsn` is.
    func changeArchived(at lsn: LSN, _ change: (inout [UInt8], Int) throws -> Void) throws {
        let name = SegmentName(timeline: TimelineID(1), containing: lsn, segmentSize: 1 << 20)
        let path = try #require(
            try run("/usr/bin/find", [site.repository, "-name", "\(name)*"]).output.split(separator: "\n").first)
        let store = DirectoryStore(site.repository)
        let key = try #require(RepositoryKey(String(path.dropFirst(site.repository.utf8.count + 1))))
        let stored = try StoredSegment(key, in: store)
        var bytes = try stored.bytes(limit: 1 << 20)
        try change(&bytes, Int(lsn - name.start(segmentSize: 1 << 20)))
        try store.remove(key)
        let (content, summary) = (bytes, stored.head.summary)
        try store.createSegment(
            key, length: UInt64(bytes.count), presses: [try SegmentPress(level: 3)],
            read: { buffer, offset in
                content.withUnsafeBytes { all in
                    let rest = UnsafeRawBufferPointer(rebasing: all[Int(offset)...].prefix(buffer.count))
                    buffer.copyMemory(from: rest)
                    return rest.count
                }
            }, inspect: { _ in }, head: { SegmentHead(rawLength: 1 << 20, digest: $0, summary: summary) })
        chmod(String(path), 0o644)
    }
}

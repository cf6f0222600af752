import Glibc
import Platform
import Repository
import Support
import Testing
import WAL

/// A fault of the segment before the requested one, which has the beginning of a record that a copy's `archive-get`
/// needs.
private struct SegmentBefore: Sendable, CustomTestStringConvertible {
    let name: String
    /// Nil when the requested one is delivered as it was archived.
    let says: String?
    /// The fault of a call on the previous segment.
    var fault: String?
    var spoil: @Sendable (Archive, SegmentName) throws -> Void = { _, _ in }
    var testDescription: String { name }
}

/// Stores the segment again, with another summary.
private func tell(_ archive: Archive, _ name: SegmentName, _ change: (SegmentSummary) throws -> [UInt8]) throws {
    let key = archive.origin.incarnation.segment(name)
    let stored = try StoredSegment(key, in: archive.store)
    let content = try stored.bytes(limit: 1 << 20)
    let summary = try change(#require(try stored.summary()))
    try archive.store.remove(key)
    try archive.store.createSegment(
        key, length: UInt64(content.count), presses: [try SegmentPress(level: 1)],
        read: { buffer, offset in
            content.withUnsafeBytes { all in
                let rest = UnsafeRawBufferPointer(rebasing: all[Int(offset)...].prefix(buffer.count))
                buffer.copyMemory(from: rest)
                return rest.count
            }
        }, inspect: { _ in },
        head: { SegmentHead(rawLength: UInt64(content.count), digest: $0, summary: summary) })
    try archive.giveToServer(archive.repository)
}

/// The head stays intact.
private func damageContent(_ archive: Archive, _ name: SegmentName) throws {
    let path = archive.path(name)
    let head = try StoredSegment(archive.origin.incarnation.segment(name), in: archive.store).head.encodedLength
    var bytes = try Files.read(path)
    bytes[(head + bytes.count) / 2] ^= 1
    try replaceDurably(path, bytes: bytes)
    try archive.giveToServer(path)
}

private let another: @Sendable (SegmentSummary) throws -> [UInt8] = { summary in
    var summary = summary
    summary.tail?.bytes?[0] ^= 1
    return summary.encode()
}
private let none: @Sendable (SegmentSummary) throws -> [UInt8] = { summary in
    var summary = summary
    summary.tail = nil
    return summary.encode()
}
private let unknown: @Sendable (SegmentSummary) throws -> [UInt8] = { [2] + $0.encode().dropFirst() }
private let unread: @Sendable (SegmentSummary) throws -> [UInt8] = { _ in [] }

private let segmentsBefore = [
    SegmentBefore(name: "as it was archived", says: nil),
    SegmentBefore(name: "never archived, or expired", says: nil) { archive, name in
        try Files.remove(archive.path(name))
    },
    SegmentBefore(
        name: "gone between looking and opening", says: "is not in repository", fault: "open:NAME.zst=ENOENT"),
    SegmentBefore(name: "not to be looked at", says: "Input/output error", fault: "stat:NAME.zst=EIO"),
    SegmentBefore(name: "not to be opened", says: "Permission denied") { archive, name in
        chmod(archive.path(name), 0)
    },
    SegmentBefore(name: "cut off", says: "damaged") { archive, name in
        #expect(truncate(archive.path(name), 40) == 0)
    },
    // A beginning for which the record's checksum is correct is accepted, whatever else is wrong.
    SegmentBefore(name: "damaged behind its summary", says: nil) { try damageContent($0, $1) },
    SegmentBefore(name: "a summary with another beginning", says: nil) { try tell($0, $1, another) },
    SegmentBefore(name: "a summary without a beginning", says: nil) { try tell($0, $1, none) },
    SegmentBefore(name: "a summary of an unknown format", says: nil) { try tell($0, $1, unknown) },
    SegmentBefore(name: "no summary", says: nil) { try tell($0, $1, unread) },
    // Then the segment itself is read.
    SegmentBefore(name: "a summary with another beginning, and damaged", says: "damaged") { archive, name in
        try tell(archive, name, another)
        try damageContent(archive, name)
    },
    SegmentBefore(name: "a summary without a beginning, and damaged", says: "damaged") { archive, name in
        try tell(archive, name, none)
        try damageContent(archive, name)
    },
    SegmentBefore(name: "a summary of an unknown format, and damaged", says: "damaged") { archive, name in
        try tell(archive, name, unknown)
        try damageContent(archive, name)
    },
    SegmentBefore(name: "no summary, and damaged", says: "damaged") { archive, name in
        try tell(archive, name, unread)
        try damageContent(archive, name)
    },
]

@Suite struct ConfinedGetServerTests {
    @Test(arguments: segmentsBefore)
    fileprivate func `a copy gets a segment that continues a record only if the beginning is known`(
        _ before: SegmentBefore
    ) throws {
        let archive = try Archive()
        let (first, wanted) = try continued(archive.origin)
        for name in [first, wanted] {
            try archive.push(archive.origin.wal(name.description), expectSuccess: true)
        }
        try before.spoil(archive, first)
        let destination = archive.scratch.file("fetched")
        let fault = before.fault?.replacing("NAME", with: first.description)
        let finished = try tidemark(
            [
                "archive-get", "--config", archive.configuration, "--confine-tablespaces", wanted.description,
                destination,
            ], environment: fault.map { ["TIDEMARK_FAULT": $0] } ?? [:])
        if let says = before.says {
            #expect(finished.ending == .exited(200) && finished.errors.contains(says), "\(finished)")
            #expect(try !Files.exists(destination))
        } else {
            #expect(finished.ending == .exited(0), "\(finished)")
            #expect(try Files.read(destination) == Files.read(archive.origin.wal(wanted.description)))
        }
    }

    /// Two consecutive segments with a short record across their boundary.
    private func continued(_ origin: FinishedCluster) throws -> (SegmentName, SegmentName) {
        for (first, second) in zip(origin.segments, origin.segments.dropFirst()) {
            let bytes = try Files.read(origin.wal(second.description))
            var scanner = SegmentScanner(name: second, length: UInt64(bytes.count), contents: .partial)
            try scanner.feed(bytes.span.bytes)
            if let head = try scanner.finish().head, !head.isAbandoned, (1...2048).contains(head.missing) {
                return (first, second)
            }
        }
        throw Problem("no record of \(origin.segments) lies in two segments")
    }
}

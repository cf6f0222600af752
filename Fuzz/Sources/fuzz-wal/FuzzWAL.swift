import Glibc
import WAL

/// libFuzzer's entry. The first byte says what the rest is given to. Whatever it is, it must give facts or a typed
/// error: a trap, a hang or memory without bound is what the fuzzer looks for.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzz(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
    let bytes = Array(UnsafeBufferPointer(start: start, count: count))
    guard let choice = bytes.first else { return 0 }
    let input = Array(bytes.dropFirst())
    switch choice % 6 {
    case 0: read(pages(of: input, headers: false), contents: .completed)
    case 1: read(pages(of: input, headers: true), contents: choice & 8 == 0 ? .partial : .completed)
    case 2: read(records(of: input), contents: .partial)
    case 3: decode(input)
    case 4: _ = try? TimelineHistory(timeline: TimelineID(9), file: String(decoding: input, as: UTF8.self))
    default: _ = try? BlockMap(decoding: input, maximumBlocks: 1 << 16)
    }
    return 0
}

private let size = 1 << 20
private let name = SegmentName(timeline: TimelineID(1), log: 0, place: 3)

private func put(_ value: UInt64, _ width: Int, at offset: Int, in bytes: inout [UInt8]) {
    for index in 0..<width where offset + index < bytes.count {
        bytes[offset + index] = UInt8(truncatingIfNeeded: value >> (8 * UInt64(index)))
    }
}

private func magic(_ choice: UInt8) -> UInt64 {
    let all: [UInt64] = [0xD101, 0xD106, 0xD10D, 0xD110, 0xD113, 0xD116, 0xD118]
    return all[Int(choice) % all.count]
}

private func putHeader(_ page: Int, _ version: UInt8, flags: UInt64 = 0, missing: UInt64 = 0, in bytes: inout [UInt8]) {
    let at = page * 8192
    put(magic(version), 2, at: at, in: &bytes)
    put((page == 0 ? 2 : 0) | flags, 2, at: at + 2, in: &bytes)
    put(1, 4, at: at + 4, in: &bytes)
    put(UInt64(3 * size + at), 8, at: at + 8, in: &bytes)
    put(missing, 4, at: at + 16, in: &bytes)
    put(0, 4, at: at + 20, in: &bytes)
    if page == 0 {
        put(42, 8, at: 24, in: &bytes)
        put(UInt64(size), 4, at: 32, in: &bytes)
        put(8192, 4, at: 36, in: &bytes)
    }
}

/// A segment whose pages hold the input; with `headers`, every page says it is in its place.
private func pages(of input: [UInt8], headers: Bool) -> [UInt8] {
    var bytes = [UInt8](repeating: 0, count: size)
    let version = input.first ?? 3
    for (index, byte) in input.prefix(size).enumerated() { bytes[index] = byte }
    putHeader(
        0, version, flags: UInt64(input.dropFirst().first ?? 0) & 9, missing: UInt64(input.dropFirst(2).first ?? 0),
        in: &bytes)
    guard headers else { return bytes }
    for page in 1...max(1, input.count / 8192) where page < 128 {
        putHeader(
            page, version, flags: UInt64(bytes[page * 8192]) & 9, missing: UInt64(bytes[page * 8192 + 1]), in: &bytes)
    }
    return bytes
}

/// A segment of records with right lengths, links and checksums, whose kinds and contents are the input's: what a
/// reader sees that trusts the CRC.
private func records(of input: [UInt8]) -> [UInt8] {
    var bytes = [UInt8](repeating: 0, count: size)
    let version = input.first ?? 3
    putHeader(0, version, in: &bytes)
    var at = 40
    var previous: UInt64 = 0
    var next = 1
    while next + 4 < input.count {
        let length = min(Int(input[next]) + Int(input[next + 1]) << 8, input.count - next - 4, 8000)
        var record = [UInt8](repeating: 0, count: 24) + input[next + 4..<next + 4 + length]
        if at % 8192 + record.count > 8192 {
            at = (at / 8192 + 1) * 8192
            guard at < size - 16384 else { break }
            putHeader(at / 8192, version, in: &bytes)
            at += 24
            // The page before ends in zeros: the records behind it are out of reach, unless they fill it exactly.
        }
        put(UInt64(record.count), 4, at: 0, in: &record)
        put(UInt64(input[next + 3]), 4, at: 4, in: &record)
        put(previous, 8, at: 8, in: &record)
        record[16] = input[next + 2]
        record[17] = input[next + 3] % 22
        let sum = crc(Array(record[24...]) + record[0..<20])
        put(UInt64(sum), 4, at: 20, in: &record)
        bytes.replaceSubrange(at..<at + record.count, with: record)
        previous = UInt64(3 * size + at)
        at = (at + record.count + 7) & ~7
        next += 4 + length
    }
    return bytes
}

/// CRC-32C, bit by bit: slow, and nobody else's.
private func crc(_ bytes: [UInt8]) -> UInt32 {
    var state: UInt32 = 0xFFFF_FFFF
    for byte in bytes {
        state ^= UInt32(byte)
        for _ in 0..<8 { state = state & 1 != 0 ? state >> 1 ^ 0x82F6_3B78 : state >> 1 }
    }
    return ~state
}

private func read(_ bytes: [UInt8], contents: SegmentContents) {
    var scanner = SegmentScanner(name: name, length: UInt64(bytes.count), contents: contents)
    do {
        try scanner.feed(bytes.span.bytes)
        let summary = try scanner.finish()
        let stored = try SegmentSummary(decoding: summary.encode())
        guard stored == summary else { fatalError("a summary is not what was stored") }
        _ = try summary.changedBlocks()
        _ = Continuity.join(summary, summary)
    } catch {}
    var walk = RecordWalk(includingBlocks: true)
    walk.begin(name, length: UInt64(bytes.count), contents: contents)
    do {
        try walk.feed(bytes.span.bytes) { record in
            _ = SegmentFacts(record)
            return .more
        }
        try walk.endSegment()
    } catch {}
}

private func decode(_ input: [UInt8]) {
    guard let summary = try? SegmentSummary(decoding: input) else { return }
    guard (try? SegmentSummary(decoding: summary.encode())) == summary else { fatalError("a summary changed") }
    _ = try? summary.changedBlocks()
    var continuity = Continuity()
    _ = continuity.add(summary)
    var next = summary
    next.start = summary.start + UInt64(summary.segmentSize)
    _ = continuity.add(next)
}

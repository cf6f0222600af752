import Glibc
import Repository
import Support
import Synchronization
import Testing

@Suite struct SharedCompressionTests {
    private struct Reads {
        var helper: Int?
        var passes: [Int: Int] = [:]

        mutating func isFirst(_ index: Int) -> Bool {
            guard helper == nil else { return false }
            helper = index
            return true
        }
    }

    /// The writer compresses frames itself while it waits for the next one. Only it makes room for further frames, so
    /// it must not wait for room: here the other thread takes the last place just when the writer wants it.
    @Test func `two threads never wait for each other over the frames of a segment`() throws {
        let (length, frame) = (32 << 20, 2 << 20)
        let writer = UInt(pthread_self())
        for round in 0..<20 {
            let store = MemoryStore()
            let key = try #require(RepositoryKey("segment-\(round)"))
            let reads = Mutex(Reads())
            try store.createSegment(
                key, length: UInt64(length), presses: [SegmentPress(level: 1), SegmentPress(level: 1)],
                read: { buffer, offset in
                    let count = min(buffer.count, length - Int(offset))
                    let index = Int(offset) / frame
                    if UInt(pthread_self()) == writer {
                        if Int(offset) % frame == 0 { reads.withLock { $0.passes[index, default: 0] += 1 } }
                    } else if reads.withLock({ $0.isFirst(index) }) {
                        // Until the writer is at the last frame but one that has a place: it has read each once before.
                        while reads.withLock({ $0.passes[index + 4, default: 0] < 2 }) { sched_yield() }
                    }
                    UnsafeMutableRawBufferPointer(rebasing: buffer[..<count]).initializeMemory(
                        as: UInt8.self, repeating: 0)
                    return count
                }, inspect: { _ in }, head: { SegmentHead(rawLength: UInt64(length), digest: $0, summary: []) })
            #expect(try StoredSegment(key, in: store).head.rawLength == UInt64(length))
        }
    }
}

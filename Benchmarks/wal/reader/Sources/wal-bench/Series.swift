import Platform
import Repository
import Synchronization
import WAL

/// Neighbouring segments made after one real segment's summary: each a second later, and joined to the one before.
struct Series: Sendable {
    let template: SegmentSummary
    let first = 1
    let incarnation: Incarnation

    init(_ template: SegmentSummary) {
        self.template = template
        incarnation = Incarnation(
            cluster: "main", major: template.version.major, systemIdentifier: template.systemIdentifier)
    }

    func name(_ index: Int) -> SegmentName {
        SegmentName(timeline: TimelineID(1), number: UInt64(first + index), segmentSize: template.segmentSize)
    }
    func start(_ index: Int) -> LSN { name(index).start(segmentSize: template.segmentSize) }
    func time(_ index: Int) -> Moment { Moment(microseconds: 1_700_000_000_000_000 + Int64(index) * 1_000_000) }

    func head(_ index: Int) -> [UInt8] {
        SegmentHead(
            rawLength: UInt64(template.segmentSize), digest: Digest(of: []), summary: summary(index).encode()
        ).encode()
    }

    func summary(_ index: Int) -> SegmentSummary {
        var summary = template
        let begin = start(index)
        summary.start = begin
        summary.firstRecord = begin + 40
        summary.lastRecord = LSN(begin.rawValue + UInt64(template.segmentSize) - 100)
        summary.firstPrevious = index == 0 ? .zero : LSN(start(index).rawValue - 100)
        summary.end = begin + UInt64(template.segmentSize)
        summary.ending = .full
        (summary.head, summary.tail) = (nil, nil)
        func mark(_ offset: UInt64, _ later: Int64) -> TransactionMark {
            TransactionMark(
                lsn: begin + offset, end: begin + offset + 40,
                time: Moment(microseconds: time(index).microseconds + later),
                xid: UInt32(truncatingIfNeeded: 1000 + index * 100 + Int(later / 10_000)))
        }
        let (low, high) = (mark(100, 0), mark(UInt64(template.segmentSize) - 200, 990_000))
        (summary.facts.firstCommit, summary.facts.lastCommit) = (low, high)
        (summary.facts.earliestCommit, summary.facts.latestCommit) = (low, high)
        (summary.facts.earliestStop, summary.facts.latestStop) = (low.time, high.time)
        (summary.facts.lowestXID, summary.facts.highestXID) = (low.xid, high.xid)
        (summary.facts.checkpoints, summary.facts.removals, summary.facts.openTransactions) = ([], [], [])
        return summary
    }
}

/// A repository that makes up the heads of a series when they are read; of the segments made beforehand it has the
/// whole.
final class GeneratedStore: ObjectStore {
    let series: Series
    let count: Int
    let location = "generated"
    var archive: ClusterArchive { ClusterArchive(series.incarnation, in: self) }
    private let whole = Mutex<[Int: [UInt8]]>([:])

    /// Makes a segment, so that it can be read later.
    func make(_ index: Int, scratch: String) throws {
        let bytes = try MadeSegment.stored(series, index, scratch: scratch)
        whole.withLock { $0[index] = bytes }
    }

    init(_ series: Series, count: Int) { (self.series, self.count) = (series, count) }

    private final class Object: StoredObject {
        let key: RepositoryKey
        let bytes: [UInt8]
        var size: Int64 { Int64(bytes.count) }
        init(_ key: RepositoryKey, _ bytes: [UInt8]) { (self.key, self.bytes) = (key, bytes) }
        func read(into buffer: UnsafeMutableRawBufferPointer, at offset: Int64) -> Int {
            let count = max(0, min(buffer.count, bytes.count - Int(offset)))
            bytes.withUnsafeBytes {
                buffer.copyMemory(from: UnsafeRawBufferPointer(rebasing: $0[Int(offset)..<Int(offset) + count]))
            }
            return count
        }
    }

    func open(_ key: RepositoryKey, bringing head: Int) throws -> any StoredObject {
        guard let name = SegmentName(String(key.name.dropLast(4))) else {
            throw ObjectAbsent(key: key, location: location)
        }
        let index = Int(name.number(segmentSize: series.template.segmentSize)) - series.first
        return Object(key, whole.withLock { $0[index] } ?? series.head(index))
    }

    func list(_ folder: RepositoryKey, after name: String?) -> [RepositoryEntry] {
        entries(of: folder).filter { name == nil || $0.name > name! }
    }

    private func entries(of folder: RepositoryKey) -> [RepositoryEntry] {
        if folder == series.incarnation.walFolder { return [RepositoryEntry(folder: "00000001")] }
        let names: (ClosedRange<Int>) -> [SegmentName] = { $0.map(self.series.name) }
        let perFolder = Int(0x1_0000_0000 / UInt64(series.template.segmentSize))
        if folder == series.incarnation.walFolder(TimelineID(1)) {
            let last = (series.first + count - 1) / perFolder
            return (0...last).map {
                let text = String($0, radix: 16, uppercase: true)
                return RepositoryEntry(folder: "00000001" + String(repeating: "0", count: 8 - text.count) + text)
            }
        }
        guard let first = SegmentName(folder.name + "00000000") else { return [] }
        let number = Int(first.number(segmentSize: series.template.segmentSize)) - series.first
        let range = max(0, number)...min(count - 1, number + perFolder - 1)
        return names(range).map { RepositoryEntry(object: "\($0).zst", size: 1, modified: 0) }
    }

    /// Nothing ever changes.
    func changeMark(of folder: RepositoryKey) -> Int64? { 1 }
    func size(of key: RepositoryKey) -> Int64? { nil }
    func begin(_ key: RepositoryKey) throws -> any ObjectWriter { throw isReadOnly }
    func begin(_ key: RepositoryKey, replacing replacement: Replacement) throws -> any ObjectWriter { throw isReadOnly }
    func makeDurable(_ key: RepositoryKey) {}
    func removeLeftovers(in folder: RepositoryKey) -> [String] { [] }
    func remove(_ key: RepositoryKey) throws { throw isReadOnly }
    func move(_ key: RepositoryKey, to other: RepositoryKey) throws { throw isReadOnly }
    func lock(
        _ name: String, in folder: RepositoryKey, isShared: Bool, patience milliseconds: Int, makesFolder: Bool
    ) -> LockAttempt { .impossible(isReadOnly) }
    func isLocked(_ name: String, in folder: RepositoryKey) -> Bool { false }

    private var isReadOnly: Problem { Problem("the generated repository can only be read") }
}

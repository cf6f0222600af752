/// A range of a file's content, and where it is stored.
public struct StoredRun: Sendable, Equatable {
    /// Bytes from the start of the file.
    public var offset: Int64
    public var length: Int64
    /// The frame's number in the manifest; `Manifest.zeros` for zeros, which are not stored.
    public var frame: Int64
    /// Bytes from the start of the frame's content; 0 for zeros.
    public var frameOffset: Int64

    public init(offset: Int64, length: Int64, frame: Int64, frameOffset: Int64) {
        (self.offset, self.length, self.frame, self.frameOffset) = (offset, length, frame, frameOffset)
    }
}

/// All runs of one file, as a manifest stores them (docs/repository.md): they make up the file from its start, without
/// gap or overlap.
///
/// The list consists of varints: the number of runs and the unit (1 or 8192 bytes); then for every run its length, its
/// frame as the difference from the previous one, and its offset in the frame unless it continues that frame's last
/// run.
public enum RunList {
    static let pageUnit: Int64 = 8192

    /// The largest file, and the largest number in a list.
    static let largestFile = BackupDescription.largest
    /// The largest frame: more would not fit a worker's memory.
    static let largestFrame: Int64 = 64 << 20
    /// The largest list in bytes; a larger one is damage.
    static let largest = 256 << 20

    /// - Precondition: the runs begin at the start of the file and are consecutive.
    public static func encode(_ runs: [StoredRun]) -> [UInt8] {
        let isOfPages = runs.allSatisfy { ($0.length | $0.frameOffset) % pageUnit == 0 }
        let unit = isOfPages ? pageUnit : 1
        var bytes: [UInt8] = []
        append(Int64(runs.count) << 1 | (isOfPages ? 1 : 0), to: &bytes)
        var ends = FrameEnds()
        var last: Int64 = 0
        for run in runs {
            let isZeros = run.frame == Manifest.zeros
            let goesOn = !isZeros && ends.end(of: run.frame) == run.frameOffset
            let difference = run.frame - last
            append((run.length / unit) << 1 | (goesOn ? 1 : 0), to: &bytes)
            append(difference << 1 ^ difference >> 63, to: &bytes)
            if !isZeros {
                if !goesOn { append(run.frameOffset / unit, to: &bytes) }
                last = run.frame
            }
            ends.note(run)
        }
        return bytes
    }

    private static func append(_ number: Int64, to bytes: inout [UInt8]) {
        var rest = UInt64(number)
        while rest > 127 {
            bytes.append(UInt8(truncatingIfNeeded: rest) | 128)
            rest >>= 7
        }
        bytes.append(UInt8(rest))
    }

    /// Reads an untrusted list, run by run.
    struct Decoder {
        private let bytes: [UInt8]
        private var place = 0
        private var left: Int64
        private let unit: Int64
        private var ends = FrameEnds()
        private var last: Int64 = 0
        /// Where the runs read so far end.
        private(set) var reach: Int64 = 0

        init(_ bytes: [UInt8]) throws(BadRunList) {
            guard bytes.count <= RunList.largest else { throw BadRunList(reason: "is too long") }
            self.bytes = bytes
            let first = try RunList.number(in: bytes, at: &place)
            left = first >> 1
            unit = first & 1 == 1 ? RunList.pageUnit : 1
            guard left > 0 else { throw BadRunList(reason: "has no runs") }
        }

        /// Nil after the last one.
        mutating func next() throws(BadRunList) -> StoredRun? {
            guard left > 0 else {
                guard place == bytes.count else { throw BadRunList(reason: "has something after its last run") }
                return nil
            }
            left -= 1
            let first = try RunList.number(in: bytes, at: &place)
            let second = try RunList.number(in: bytes, at: &place)
            let frame = last + (second >> 1 ^ -(second & 1))
            let goesOn = first & 1 == 1
            // Numbers have 56 bits: neither sum overflows.
            guard first >> 1 > 0, first >> 1 <= (RunList.largestFile - reach) / unit, frame >= 0,
                frame <= RunList.largestFile
            else { throw BadRunList.impossible }
            var run = StoredRun(offset: reach, length: (first >> 1) * unit, frame: frame, frameOffset: 0)
            if frame == Manifest.zeros {
                if goesOn { throw BadRunList.impossible }
            } else {
                if goesOn {
                    run.frameOffset = ends.end(of: frame)
                } else {
                    let start = try RunList.number(in: bytes, at: &place)
                    guard start <= RunList.largestFrame / unit else { throw BadRunList.impossible }
                    run.frameOffset = start * unit
                }
                guard run.length <= RunList.largestFrame - run.frameOffset else { throw BadRunList.impossible }
                last = frame
            }
            ends.note(run)
            reach += run.length
            return run
        }
    }

    /// - Returns: less than 2^56.
    private static func number(in bytes: [UInt8], at place: inout Int) throws(BadRunList) -> Int64 {
        var number: Int64 = 0
        for shift in stride(from: Int64(0), to: 56, by: 7) {
            guard place < bytes.count else { throw BadRunList(reason: "ends too early") }
            let byte = bytes[place]
            place += 1
            number |= Int64(byte & 127) << shift
            if byte < 128 { return number }
        }
        throw BadRunList.impossible
    }
}

/// What is wrong with a list: the rest of a sentence.
struct BadRunList: Error, Equatable {
    let reason: String
    static let impossible = BadRunList(reason: "has a run in an impossible place")
}

/// The ends of the last run in each frame, for the newest 65,536 runs of a list, which bounds the memory.
private struct FrameEnds {
    private static let reach = 65_536
    private var ends: [Int64: (end: Int64, number: Int)] = [:]
    private var count = 0

    /// 0, the start of the frame, when none of these runs is in it.
    func end(of frame: Int64) -> Int64 {
        guard let found = ends[frame], count - found.number <= FrameEnds.reach else { return 0 }
        return found.end
    }

    mutating func note(_ run: StoredRun) {
        if run.frame != Manifest.zeros { ends[run.frame] = (run.frameOffset + run.length, count) }
        count += 1
        if ends.count > 2 * FrameEnds.reach { ends = ends.filter { count - $0.value.number <= FrameEnds.reach } }
    }
}

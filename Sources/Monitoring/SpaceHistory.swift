import Documents
import Glibc
import Platform
import Repository
import WAL

/// The repository's free space over time: a sample every six hours for a month, in the cluster's state directory.
struct SpaceHistory: Codable, Equatable {
    struct Sample: Codable, Equatable {
        /// Seconds since 1970.
        var time: Int64
        var free: Int64
        /// The file system's size; if it changes, it is another file system.
        var total: Int64
    }
    var samples: [Sample] = []

    init() {}

    /// Nil for bytes that aren't such a record, or have impossible values.
    init?(remembered bytes: [UInt8]) {
        guard let known = try? decodeJSON(SpaceHistory.self, from: bytes) else { return nil }
        let possible = 0...Int64(1) << 60
        guard known.samples.allSatisfy({ possible.contains($0.time) && possible.contains($0.free) && $0.total >= 0 })
        else {
            return nil
        }
        self = known
    }

    static let pause: Int64 = 6 * 3600
    static let memory: Int64 = 30 * 86_400

    mutating func add(_ sample: Sample) {
        if let last = samples.last, last.total != sample.total || last.time > sample.time { samples = [] }
        if let last = samples.last, sample.time - last.time < SpaceHistory.pause { return }
        samples.append(sample)
        samples.removeAll { sample.time - $0.time > SpaceHistory.memory }
    }

    /// Bytes per day over the last week of samples, by least squares; nil before a day has passed.
    func shrinking(now: Sample) -> Double? {
        let week = samples.filter { now.time - $0.time <= 7 * 86_400 && $0.time < now.time } + [now]
        guard let first = week.first, now.time - first.time >= 86_400 else { return nil }
        let points = week.map { (x: Double($0.time - first.time) / 86_400, y: Double($0.free)) }
        let count = Double(points.count)
        let meanX = points.reduce(0) { $0 + $1.x } / count
        let meanY = points.reduce(0) { $0 + $1.y } / count
        let spread = points.reduce(0) { $0 + ($1.x - meanX) * ($1.x - meanX) }
        guard spread > 0 else { return nil }
        return -points.reduce(0) { $0 + ($1.x - meanX) * ($1.y - meanY) } / spread
    }
}

extension SpaceObservation {
    /// Queries the store, and records the answer in the file `memory` if possible. Nil when the store can't tell.
    init?(of store: any ObjectStore, memory: String, now: Moment) throws {
        guard let space = try store.capacity() else { return nil }
        (free, total) = (space.free, space.total)
        let sample = SpaceHistory.Sample(time: now.microseconds / 1_000_000, free: space.free, total: space.total)
        var history = SpaceHistory()
        if let bytes = try? Files.read(memory, limit: 1 << 20),
            let known = SpaceHistory(remembered: bytes)
        {
            history = known
        }
        shrinking = history.shrinking(now: sample)
        let before = history
        history.add(sample)
        // Without the record only the forecast is missing.
        if history != before {
            try? Files.makeDirectories(Files.parent(memory))
            try? replaceDurably(memory, bytes: encodeJSON(history))
        }
    }
}

public import Repository

/// Frames of one pack that one thread reads: a piece of work of a restore or a verification.
public struct PackPortion: Sendable {
    public var pack: StoredPack?
    /// With the file runs that lie in each.
    public private(set) var frames: [(frame: PackFrame, runs: [FileRun])] = []
    /// Stretches of zeros, which matter only where something is already there.
    public private(set) var zeros: [FileRun] = []
    public private(set) var bytes: Int64 = 0
    private var runCount = 0

    public init(pack: StoredPack? = nil) { self.pack = pack }

    public mutating func add(_ frame: PackFrame, _ runs: [FileRun], bytes count: Int64) {
        frames.append((frame, runs))
        runCount += runs.count
        bytes += count
    }

    public mutating func add(zeros run: FileRun) {
        zeros.append(run)
        bytes += run.run.length
    }

    /// Enough for one piece of work, and for the memory of those that wait.
    public var isFull: Bool { bytes >= 4 << 20 && zeros.isEmpty || runCount >= 2048 || zeros.count >= 64 }
}

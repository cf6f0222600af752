public import Repository

/// Frames of one pack for one thread: a work item of a restore or a verification.
public struct PackPortion: Sendable {
    public var pack: StoredPack?
    /// Frames with their file runs.
    public private(set) var frames: [(frame: PackFrame, runs: [FileRun])] = []
    /// Ranges of zeros, which matter only where a file already exists.
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

    /// Whether it is large enough for a work item, and for the memory that queued items take.
    public var isFull: Bool { bytes >= 4 << 20 && zeros.isEmpty || runCount >= 2048 || zeros.count >= 64 }
}

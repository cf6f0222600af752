import Repository

/// Frames of one pack that one thread reads: a piece of work of a restore or a verification.
struct PackPortion: Sendable {
    var pack: StoredPack?
    /// With the file runs that lie in each.
    private(set) var frames: [(frame: PackFrame, runs: [FileRun])] = []
    /// Stretches of zeros, which matter only where something is already there.
    private(set) var zeros: [FileRun] = []
    private(set) var bytes: Int64 = 0
    private var runCount = 0

    init(pack: StoredPack? = nil) { self.pack = pack }

    mutating func add(_ frame: PackFrame, _ runs: [FileRun], bytes count: Int64) {
        frames.append((frame, runs))
        runCount += runs.count
        bytes += count
    }

    mutating func add(zeros run: FileRun) {
        zeros.append(run)
        bytes += run.run.length
    }

    /// Enough for one piece of work, and for the memory of those that wait.
    var isFull: Bool { bytes >= 4 << 20 && zeros.isEmpty || runCount >= 2048 || zeros.count >= 64 }
}

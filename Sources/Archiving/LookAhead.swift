import Platform
public import Repository
import WAL

/// How a push also stores the files that PostgreSQL will archive next.
public struct LookAhead: Sendable {
    /// Segments compressed at the same time, a thread each.
    let jobs: Int
    let state: StateDirectory

    /// - Parameter state: where calls leave notes for later ones; may be missing.
    public init(jobs: Int, state: StateDirectory) {
        self.jobs = jobs
        self.state = state
    }

    var record: AheadRecord { AheadRecord(path: state.archivedAhead) }
    /// The most segments of one call, so that a call ends within about a second and PostgreSQL gets its result.
    var most: Int { 16 * jobs }

    /// Segments after `segment` that wait for the archiver, in its order (`pgarch_readyXlog`,
    /// src/backend/postmaster/pgarch.c): what has a `.ready` file in `archive_status` beside it.
    func waiting(behind segment: SegmentName, in directory: String) -> [SegmentName] {
        guard let names = try? Files.listIfPresent(directory + "/archive_status") else { return [] }
        return names.compactMap { name in
            name.utf8.count == 30 && name.hasSuffix(".ready") ? SegmentName(String(name.dropLast(6))) : nil
        }.filter { $0 > segment }.sorted()
    }
}

extension Push {
    /// Pushes the file together with others that are waiting, or confirms it when an earlier call has pushed it; nil
    /// when no other is waiting.
    ///
    /// The call fails only for its own segment. An error of another one will be reported when PostgreSQL archives that.
    func pushWithOthers(_ local: LocalFile, _ segment: SegmentName) throws -> Outcome? {
        guard let lookAhead else { return nil }
        if try isRecorded(local, segment, lookAhead.record) { return .confirmed }
        let directory = Files.parent(local.path)
        let others = lookAhead.waiting(behind: segment, in: directory).prefix(lookAhead.most - 1)
        guard !others.isEmpty else { return nil }
        let batch = PushBatch(
            [PushBatch.Member(path: local.path, segment: segment)]
                + others.map { PushBatch.Member(path: "\(directory)/\($0)", segment: $0) })
        let started = Clock.now
        let work: @Sendable () -> Void = { [self] in
            var press: SegmentPress?
            while let index = batch.claim() {
                batch.finish(index, Result { try push(batch, index, &press) })
            }
        }
        // A thread that can't be started is done without.
        try? withWorkers(min(lookAhead.jobs, batch.members.count) - 1, work, cancel: { _ in }, work)
        work()
        lookAhead.record.write(batch.stored, started: started)
        return try batch.outcome(0)?.get()
    }

    private func push(_ batch: PushBatch, _ index: Int, _ press: inout SegmentPress?) throws -> Outcome {
        let member = batch.members[index]
        let mine = try press ?? SegmentPress(level: level)
        press = mine
        return try push(
            LocalFile(member.path), .segment(member.segment), member.segment,
            presses: { [mine] }, batch: batch)
    }

    /// Whether an earlier call has stored exactly this file, as far as inode, size and times show that it is unchanged,
    /// and the repository still has it.
    private func isRecorded(_ local: LocalFile, _ segment: SegmentName, _ record: AheadRecord) throws -> Bool {
        guard let (key, digest) = record.find(segment, local.status) else { return false }
        guard let stored = try? StoredSegment(key, in: store) else { return false }
        return stored.head.digest == digest && stored.head.rawLength == UInt64(local.size)
    }
}

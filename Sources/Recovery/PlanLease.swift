public import Backups
public import Planning
public import Platform
public import Repository
public import WAL

/// A lock on what a plan reads: until it is released, or its process ends, `expire` keeps the plan's backup and all WAL
/// since that backup began.
///
/// A thread of its own sees to it that the lease is still there, so that nobody who asks waits for storage.
public final class PlanLease: Sendable {
    private struct State {
        /// Questions, and how many of them the thread has answered.
        var asked = 0
        var answered = 0
        var loss: LeaseLost?
        var isReleased = false
        var hasEnded = false
    }
    private let state = Monitor(State())

    /// - Parameter interval: between two looks, in milliseconds.
    /// - Throws: `NoSuchBackup`, `PlanOutdated`.
    public init(_ plan: Plan, of archive: ClusterArchive, interval: Int = 1000) throws {
        let backup = try BackupLease(plan.backup.label, of: archive)
        // What went between the planning and now doesn't come back.
        if let gone = try plan.firstMissing(in: archive) { throw PlanOutdated(segment: gone) }
        _ = try Worker { [state] in
            PlanLease.watch(backup, plan, archive, state, interval)
            state.update { $0.hasEnded = true }
        }
    }

    /// Whatever waits for storage is left to itself, and ends with the process.
    deinit {
        state.update { $0.isReleased = true }
        _ = state.wait(before: Clock.monotonic &+ 1_000_000_000) { $0.hasEnded ? .ready(()) : .notYet }
    }

    private static func watch(
        _ backup: BackupLease, _ plan: Plan, _ archive: ClusterArchive, _ state: Monitor<State>, _ interval: Int
    ) {
        /// How it was lost before it was taken again.
        var regained: LockLost?
        while true {
            _ = state.wait(before: Clock.monotonic &+ UInt64(interval) * 1_000_000) {
                $0.isReleased || $0.asked > $0.answered ? .ready(()) : .notYet
            }
            let (isReleased, asked, loss) = state.update { ($0.isReleased, $0.asked, $0.loss) }
            if isReleased { return }
            var found = loss
            // Once something is gone, nothing brings it back; what can't be told now is asked again.
            if loss == nil {
                do {
                    regained = try backup.confirm(patience: 0) ?? regained
                    // The backup is there; of the WAL after it less may have been kept.
                    if let regained, let gone = try plan.firstMissing(in: archive) {
                        found = LeaseLost(
                            label: plan.backup.label, regained, .segmentRemoved(gone.description))
                    }
                    regained = nil
                } catch let lost as LeaseLost where !lost.isTransient { found = lost } catch {}
            }
            state.update { ($0.loss, $0.answered) = (found, asked) }
        }
    }

    /// For the reader to call again and again. Does not wait.
    /// - Throws: `LeaseLost`.
    public func confirm() throws { if let loss = state.update({ $0.loss }) { throw loss } }

    /// Does what reads what the plan names. Where that fails because something of it is gone, its error says so.
    public func reading<Value>(_ body: () throws -> Value) throws -> Value {
        do { return try body() } catch { throw loss() ?? error }
    }

    /// Looks once more. Where the storage doesn't answer, what is known is all there is to say.
    public func loss() -> LeaseLost? {
        let asked = state.update { state in
            state.asked += 1
            return state.asked
        }
        _ = state.wait(before: Clock.monotonic &+ 2_000_000_000) { $0.answered >= asked ? .ready(()) : .notYet }
        return state.update { $0.loss }
    }
}

extension Plan {
    /// The first of the segments it reads from the archive that isn't there.
    fileprivate func firstMissing(in archive: ClusterArchive) throws -> SegmentName? {
        let partials = Set(partials)
        var listed: (folder: RepositoryKey, names: Set<String>)?
        return try segmentNames.first { name in
            if partials.contains(name) { return false }
            let key = archive.key(for: .segment(name))
            if listed?.folder != key.folder {
                // An object's name begins with its segment's, so it is listed after that name.
                let entries = try archive.store.list(key.folder, after: name.description)
                listed = (key.folder, Set(entries.filter { $0.size != nil }.map(\.name)))
            }
            return listed?.names.contains(key.name) != true
        }
    }
}

/// An object that the plan needs has been removed since it was made.
public struct PlanOutdated: Explained, Equatable {
    public let segment: SegmentName
    public var message: String { "the plan can no longer be carried out: segment \"\(segment)\" has been removed" }
    public var detail: String? { "It was in the repository when the plan was made. Nothing has been touched." }
    public var hint: String? { "Run the command again for a plan from what is there now." }
}

import Platform
import Repository
import WAL

/// Segments that one call pushes at the same time, and what their threads must know of each other.
final class PushBatch: Sendable {
    struct Member: Sendable {
        let path: String
        let segment: SegmentName
    }
    /// What was stored, for `AheadRecord`.
    struct Scanned: Sendable {
        let summary: SegmentSummary?
        let digest: Digest
        let key: RepositoryKey
        /// Of the file, before it was read.
        let status: FileStatus
    }
    private struct State {
        var next = 0
        /// Nil inside: nothing could be learned from this segment here.
        var scanned: [SegmentName: Scanned?] = [:]
        var outcomes: [Int: Result<Push.Outcome, any Error>] = [:]
        var isStopped = false
    }

    /// In the WAL's order.
    let members: [Member]
    private let indices: [SegmentName: Int]
    private let state = Monitor(State())

    init(_ members: [Member]) {
        self.members = members
        indices = Dictionary(members.enumerated().map { ($1.segment, $0) }) { first, _ in first }
    }

    /// The next segment to work on. Segments are claimed in order, so whoever waits for a predecessor waits for one that
    /// another thread is working on, or that is done.
    func claim() -> Int? {
        state.update { state in
            guard !state.isStopped, state.next < members.count else { return nil }
            state.next += 1
            return state.next - 1
        }
    }

    /// After a failure nothing new is started: later segments would be stored without their link being checked.
    func finish(_ index: Int, _ outcome: Result<Push.Outcome, any Error>) {
        state.update {
            if case .failure = outcome { $0.isStopped = true }
            $0.outcomes[index] = outcome
            if $0.scanned[members[index].segment] == nil { $0.scanned[members[index].segment] = .some(nil) }
        }
    }

    func scanned(_ segment: SegmentName, _ scanned: Scanned) { state.update { $0.scanned[segment] = scanned } }

    /// A member's summary, as soon as it has been scanned; nil when it isn't a member or has to be looked up elsewhere.
    func summary(of name: SegmentName) -> SegmentSummary? {
        guard indices[name] != nil else { return nil }
        return state.wait { state in state.scanned[name].map { .ready($0?.summary) } ?? .notYet }
    }

    /// Waits until the member before this one is stored, durably, so that nobody sees a gap between them, whenever he looks
    /// and wherever this process is killed. That member's thread is at work on it (`claim`), and waits for no later one.
    /// - Throws: `NotReached` when it could not be stored.
    func awaitTurn(of name: SegmentName) throws(NotReached) {
        guard let index = indices[name], index > 0 else { return }
        let before = state.wait { state in state.outcomes[index - 1].map { .ready($0) } ?? .notYet }
        if case .failure = before { throw NotReached(segment: members[index - 1].segment) }
    }

    func outcome(_ index: Int) -> Result<Push.Outcome, any Error>? { state.update { $0.outcomes[index] } }

    /// The members that were stored by this call.
    var stored: [(member: Member, scanned: Scanned)] {
        state.update { state in
            members.indices.compactMap { index in
                guard case .success(.stored)? = state.outcomes[index],
                    let scanned = state.scanned[members[index].segment] ?? nil
                else { return nil }
                return (members[index], scanned)
            }
        }
    }
}

/// A segment isn't stored because one before it, of the same call, could not be.
struct NotReached: Error {
    let segment: SegmentName
}

import Platform
import Repository
import WAL

/// Segments that one call pushes at the same time, and the state that its threads share.
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
        /// The file's, before it was read.
        let status: FileStatus
    }
    private struct State {
        var next = 0
        /// The inner value is nil when the segment could not be scanned here.
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

    /// The next segment to work on. Segments are claimed in order, so a thread that waits for a predecessor waits for a
    /// segment that another thread is working on, or that is done.
    func claim() -> Int? {
        state.update { state in
            guard !state.isStopped, state.next < members.count else { return nil }
            state.next += 1
            return state.next - 1
        }
    }

    /// Records an outcome. After a failure no other segment is claimed: its link could not be checked.
    func finish(_ index: Int, _ outcome: Result<Push.Outcome, any Error>) {
        state.update {
            if case .failure = outcome { $0.isStopped = true }
            $0.outcomes[index] = outcome
            if $0.scanned[members[index].segment] == nil { $0.scanned[members[index].segment] = .some(nil) }
        }
    }

    func scanned(_ segment: SegmentName, _ scanned: Scanned) { state.update { $0.scanned[segment] = scanned } }

    /// A member's summary, once it has been scanned; nil when it isn't a member or must be looked up in the repository.
    func summary(of name: SegmentName) -> SegmentSummary? {
        guard indices[name] != nil else { return nil }
        return state.wait { state in state.scanned[name].map { .ready($0?.summary) } ?? .notYet }
    }

    /// Waits until the member before this one is stored durably, so that there never is a gap between them, even if
    /// this process is killed. That member's thread is working on it (`claim`), and waits for no later one.
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

/// A segment isn't stored because an earlier one of the same call could not be.
struct NotReached: Error {
    let segment: SegmentName
}

import Archiving
import Platform
import Repository
import Support
import Testing
import WAL

/// Segments that are removed while the archive is verified.
@Suite struct RemovedMeanwhileTests {
    struct Row: Sendable, CustomTestStringConvertible {
        let testDescription: String
        /// Which of the chain's segments are removed.
        let gone: @Sendable ([String]) -> [String]
        var isExpired = false
        var isPutAside = false
        /// The expected reports.
        let says: [String]
    }

    @Test(arguments: [
        Row(testDescription: "expire removes the oldest", gone: { Array($0[0...5]) }, isExpired: true, says: []),
        Row(testDescription: "two in the middle are lost", gone: { Array($0[4...5]) }, says: ["missing"]),
        Row(testDescription: "the newest is lost", gone: { [$0[$0.count - 1]] }, says: ["is not in repository"]),
        Row(testDescription: "the newest is put aside", gone: { [$0[$0.count - 1]] }, isPutAside: true, says: []),
        Row(testDescription: "the repository is away", gone: { _ in [] }, says: ["repository"]),
    ])
    func `WAL removed on purpose is no damage, and lost WAL is reported once`(_ row: Row) throws {
        let repository = try FixtureRepository()
        let (store, incarnation) = (repository.store, repository.incarnation)
        let gone = try row.gone(repository.names).map { try #require(SegmentName($0)) }
        var isRemoved = false
        let verification = try verifyArchive(
            of: repository.archive,
            expired: { SegmentSet(isRemoved && row.isExpired ? gone : [], segmentSize: $0) }, jobs: 1,
            progress: { done, _ in
                guard done == 1 else { return }
                isRemoved = true
                if gone.isEmpty { try store.remove(incarnation.marker) }
                for name in gone.isEmpty ? [try #require(SegmentName(repository.names[6]))] : gone {
                    if row.isPutAside {
                        try PutAside(.file(.segment(name)), of: repository.archive)
                            .carryOut(now: Moment(microseconds: Clock.now), reason: "test")
                    } else {
                        try store.remove(incarnation.segment(name))
                    }
                }
            })
        let texts = verification.problems.map(\.description)
        if gone.isEmpty {
            #expect(texts.contains { $0.contains("is not in repository") }, "\(texts)")
        } else {
            #expect(texts.count == row.says.count, "\(texts)")
            for says in row.says { #expect(texts.contains { $0.contains(says) }, "\(texts)") }
            #expect(verification.segments < repository.names.count)
        }
    }
}

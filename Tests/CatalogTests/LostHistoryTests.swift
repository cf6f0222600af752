import Archiving
import BaseBackup
import Catalog
import Platform
import Recovery
import Repository
import Support
import Testing
import WAL

/// A timeline whose history file isn't in the archive.
@Suite struct LostHistoryTests {
    @Test func `every command tells that a history file is missing where the segments show that there was one`() throws
    {
        let repository = try FixtureRepository()
        let (store, incarnation) = (repository.store, repository.incarnation)
        try AsideBranchTests.store(
            "a", "00000001000000000000000A", "00000001000000000000000A", in: repository,
            at: #require(Moment(iso8601: "2026-11-20T08:12:30Z")))
        func found() throws -> (lost: [LostHistory], problems: [String], plan: Result<Plan, any Error>) {
            let catalog = try repository.freshCatalog()
            let problems = try verifyArchive(of: incarnation, in: store, jobs: 1).problems.map(\.message)
            var results: [Result<Plan, any Error>] = []
            for catalog in [catalog, nil] {
                let archive = try RecoveryArchive(
                    store: store, cluster: "main", dataDirectory: repository.scratch.file("none"), jobs: 1)
                results.append(
                    Result {
                        try archive.plan(PlanRequest(RecoveryTarget(.latest)), usePartials: false, catalog: catalog)
                    })
            }
            #expect(results.map { try? $0.get().end }.allSatisfy { $0 == (try? results[0].get().end) })
            let refusals = results.map { result in
                if case .failure(let error) = result { "\(error)" } else { "" }
            }
            #expect(refusals[0] == refusals[1])
            return (try catalog.lostHistories(), problems, results[0])
        }
        let whole = try found()
        #expect(whole.lost.isEmpty && whole.problems.isEmpty)
        #expect(try whole.plan.get().timeline == TimelineID(2))

        try store.remove(incarnation.history(TimelineID(2)))
        let bare = try found()
        #expect(bare.lost.map(\.message) == ["timeline history file \"00000002.history\" is missing"])
        #expect(bare.lost.map(\.parent) == [TimelineID(1)])
        #expect(bare.problems.contains("timeline history file \"00000002.history\" is missing"))
        let refusal = try #require(throws: PlanRefusal.self) { try bare.plan.get() }
        guard case .lostHistory(let lost) = refusal.reason else {
            Issue.record("\(refusal.message) \(refusal.detail ?? "")")
            return
        }
        #expect(lost.timeline == TimelineID(2))
        #expect(refusal.nearest.map { $0.arguments.joined(separator: " ") } == ["--target latest --target-timeline 1"])

        // An archive that began on that timeline has no parent to miss.
        for name in repository.names where name < "000000020000000000000011" {
            try store.remove(incarnation.segment(#require(SegmentName(name))))
        }
        #expect(try repository.freshCatalog().lostHistories().isEmpty)
    }
}

import Planning
import Recovery
import Repository
import Support
import Testing
import WAL

@testable import Catalog

/// A plan made by the catalog is the plan made by reading the archive.
@Suite struct CatalogPlanTests {
    @Test(arguments: ["pg15", "pg18"])
    func `plans by catalog and by repository are the same`(_ folder: String) throws {
        let repository = try FixtureRepository(folder, major: folder == "pg15" ? 15 : 18)
        let catalog = try repository.catalog()
        _ = try catalog.synchronize(jobs: 1)
        let summaries = try repository.names.map { name in
            try FixtureRepository.scan(WALFixture.unpacked(folder, name), name)
        }
        let first = try #require(summaries[0].firstRecord)
        let begun = try #require(summaries[0].facts.firstCommit)
        let backup = RestorableBackup(
            label: "b", timeline: TimelineID(1), start: first, stop: begun.lsn, startTime: begun.time,
            stopTime: begun.time, size: 1)
        var targets: [RecoveryTarget] = [
            RecoveryTarget(.latest), RecoveryTarget(.immediate), RecoveryTarget(.name("before drop")),
            RecoveryTarget(.name("nowhere")), RecoveryTarget(.xid(1)),
            // Before and after everything that is archived.
            RecoveryTarget(.lsn(.zero)), RecoveryTarget(.lsn(LSN("FF/0")!)), RecoveryTarget(.lsn(LSN(.max))),
        ]
        for facts in summaries.map(\.facts) {
            for mark in [facts.firstCommit, facts.lastCommit].compactMap({ $0 }) {
                for inclusive in [true, false] {
                    targets.append(RecoveryTarget(.time(mark.time), inclusive: inclusive))
                    targets.append(RecoveryTarget(.lsn(mark.lsn), inclusive: inclusive))
                    targets.append(RecoveryTarget(.xid(mark.xid), inclusive: inclusive))
                }
            }
        }
        var planned = 0
        for target in targets {
            func archive() -> ArchivePlanSource {
                ArchivePlanSource(
                    archive: repository.archive, segmentSize: 1 << 20,
                    backups: [backup], jobs: 1)
            }
            let slow = Result { try plan(PlanRequest(target), from: archive()) }
            let quick = Result { try plan(PlanRequest(target), from: CatalogPlanSource(catalog, archive())) }
            switch (slow, quick) {
            case (.success(let slow), .success(let quick)):
                planned += 1
                #expect(slow.stop == quick.stop, "\(target)")
                #expect(slow.end == quick.end, "\(target)")
                #expect(slow.lastIncluded == quick.lastIncluded, "\(target)")
                #expect(slow.firstExcluded == quick.firstExcluded, "\(target)")
                #expect(slow.segments == quick.segments, "\(target)")
                #expect(slow.warnings == quick.warnings, "\(target)")
            case (.failure(let slow), .failure(let quick)): #expect("\(slow)" == "\(quick)", "\(target)")
            default: Issue.record("\(target): \(slow) by reading, \(quick) by the catalog")
            }
        }
        #expect(planned > 40)
    }
}

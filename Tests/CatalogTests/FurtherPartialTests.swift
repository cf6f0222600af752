import Archiving
import Planning
import Platform
import Recovery
import Repository
import Support
import Testing
import WAL

/// Timeline 1 with a backup, timeline 2, and timeline 3, which branched off in its first segment; the third one of
/// timeline 2 exists as .partial only.
@Suite struct FurtherPartialTests {
    private let partial = "000000020000000000000012"

    private func archive(withThird: Bool) throws -> (FixtureRepository, RecoveryArchive) {
        let names = try WALFixture.segments("pg15").filter { $0 >= "00000001000000000000000E" && $0 != partial }
        let repository = try FixtureRepository(storing: names)
        try repository.addHistory()
        let push = Push(into: Repository(repository.store), cluster: "main", dataDirectory: nil, level: 1) { _ in }
        let file = repository.scratch.file("\(partial).partial")
        try createDurably(file, bytes: WALFixture.unpacked("pg15", partial))
        #expect(try push(file) == .stored)
        if withThird {
            // Both continued with the same records.
            for number in ["10", "11"] {
                let name = "0000000300000000000000" + number
                let bytes = try WALFixture.unpacked("pg15", "0000000200000000000000" + number)
                try repository.put(bytes, name, summary: FixtureRepository.scan(bytes, name).encode())
            }
            let history = "1\t0/10017E8\tno recovery target specified\n2\t0/10033B0\tno recovery target specified\n"
            try repository.store.createFile(
                repository.incarnation.history(TimelineID(3)), bytes: Array(history.utf8))
        }
        let json = """
            {"label":"20261120T081236Z-full","type":"full","start_time":"2026-11-20T08:12:36Z",
            "stop_time":"2026-11-20T08:12:36Z","start_lsn":"0/E00028","checkpoint_lsn":"0/E00060",
            "stop_lsn":"0/E00100","timeline":1,"start_segment":"00000001000000000000000E",
            "stop_segment":"00000001000000000000000E",
            "system_identifier":"\(repository.incarnation.systemIdentifier)","major":15,"server_version":150020,
            "catalog_version":202209061,"segment_size":1048576,"from_standby":false,"file_count":1,"size":1,
            "stored_size":0,"packs":[],"tablespaces":[],"checksums":true,
            "verified_pages":1,"corrupt_pages":[],"settings":{},"pinned":false,
            "timings":{"checkpoint":1,"copy":1,"wal_wait":1,"total":1,"bytes":1}}
            """
        try repository.store.create(
            repository.incarnation.backupDescription("20261120T081236Z-full"),
            SealedDocument(.backup, body: Array(json.utf8)))
        let archive = try RecoveryArchive(
            repository: Repository(repository.store), cluster: "main", dataDirectory: repository.scratch.file("none"),
            jobs: 1)
        return (repository, archive)
    }

    private func warning(_ timeline: RecoveryTarget.Timeline, withThird: Bool) throws -> String? {
        let (repository, archive) = try archive(withThird: withThird)
        defer { withExtendedLifetime(repository) {} }
        let plan = try archive.plan(
            PlanRequest(RecoveryTarget(.latest, timeline: timeline)), usePartials: false, offersPartials: true)
        return plan.warnings.first { $0.contains("exists as .partial only") }
    }

    @Test func `an incomplete segment is offered only where nothing of the plan is lost`() throws {
        let own = try #require(try warning(.number(TimelineID(2)), withThird: true))
        #expect(own.contains("\"\(partial)\"") && own.contains("--target-timeline 2 --use-partial"), "\(own)")
        // The parent's WAL after the fork reaches further, but on another timeline.
        #expect(try warning(.number(TimelineID(3)), withThird: true) == nil)
        #expect(try warning(.latest, withThird: false) != nil)
    }

    @Test func `where the timeline is ambiguous, the one that reaches furthest is offered as well`() throws {
        let (repository, archive) = try archive(withThird: true)
        defer { withExtendedLifetime(repository) {} }
        let refusal = try #require(throws: PlanRefusal.self) {
            try archive.plan(PlanRequest(RecoveryTarget(.latest)), usePartials: false, offersPartials: true)
        }
        #expect(refusal.message.hasPrefix("cannot tell which of timelines 2, 3"), "\(refusal.message)")
        #expect(
            refusal.hint?.contains("--target latest --target-timeline 2 --use-partial") == true, "\(refusal.hint ?? "")"
        )
        #expect(refusal.nearest.count == 3)
    }

    /// Only another command takes its options.
    @Test func `a command that replays no incomplete segment names the one that does`() throws {
        let (repository, archive) = try archive(withThird: false)
        defer { withExtendedLifetime(repository) {} }
        let words = "\"tidemark recover --target latest"
        let plan = try archive.plan(
            PlanRequest(RecoveryTarget(.latest, timeline: .latest)), usePartials: false, offersPartials: true,
            partialsBy: "tidemark recover")
        let warning = plan.warnings.first { $0.contains(words) } ?? ""
        #expect(warning.contains("--use-partial\" takes a recovery of the whole cluster"), "\(plan.warnings)")
        let (other, undecided) = try self.archive(withThird: true)
        defer { withExtendedLifetime(other) {} }
        let refusal = try #require(throws: PlanRefusal.self) {
            try undecided.plan(
                PlanRequest(RecoveryTarget(.latest)), usePartials: false, offersPartials: true,
                partialsBy: "tidemark recover")
        }
        #expect(refusal.hint?.contains("--use-partial") == false, "\(refusal.hint ?? "")")
        let remark = "With \(words) --target-timeline 2 --use-partial\" the whole cluster can be recovered"
        #expect(refusal.detail?.contains(remark) == true, "\(refusal.detail ?? "")")
    }
}

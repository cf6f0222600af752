import Archiving
import Backups
import Configuration
import DataDirectory
import Jobs
import Monitoring
import Repository
import Setup
import Testing
import WAL

struct CheckRulesTests {
    @Test func `nothing is reported of a cluster that is well`() throws {
        let results = judge(try ObservedCluster.healthy(), by: try ObservedCluster.configuration())
        #expect(results.map(\.definition.check) == Check.allCases)
        for result in results {
            #expect(result.status == .ok && result.nextStep == nil, "\(result.id): \(result.message)")
        }
        #expect(CheckResult.worst(results) == .ok)
    }

    @Test func `a cluster that was set up a minute ago lacks only its first backup`() throws {
        var observation = try ObservedCluster.healthy()
        observation.jobs = []
        observation.archive?.backups.complete = []
        observation.archive?.windowStart = nil
        let results = judge(observation, by: try ObservedCluster.configuration())
        #expect(results.filter { $0.status != .ok }.map(\.id).sorted() == ["backup_age", "recovery_window", "rpo"])
    }

    @Test func `storage without a known limit is never full`() throws {
        var observation = try ObservedCluster.healthy()
        (observation.space, observation.isSpaceLimited) = (nil, false)
        let results = judge(observation, by: try ObservedCluster.configuration())
        #expect(results.filter { $0.id.hasPrefix("repository_") && $0.status != .ok }.map(\.message) == [])
    }

    @Test(arguments: Trouble.all)
    func `trouble is noticed, explained, and has a next step`(_ trouble: Trouble) throws {
        var observation = try ObservedCluster.healthy()
        try trouble.spoil(&observation)
        let results = judge(observation, by: try ObservedCluster.configuration(trouble.lines))
        let result = try #require(results.first { $0.id == trouble.check })
        #expect(result.status == trouble.status, "\(result.message)")
        #expect(result.message.contains(trouble.says), "\(result.message)")
        if trouble.status != .unknown { #expect(result.nextStep?.isEmpty == false) }
        #expect(CheckResult.worst(results).nagios != 0)
    }

    /// Segments that nobody has archived, the age of their oldest commit, archive_mode, and what is said.
    @Test(arguments: [
        (0, 0, "on", "archives nothing until it is promoted."), (1, 5, "on", "archives nothing until it is promoted."),
        (9, 0.5, "always", "Nothing is waiting to be archived."),
    ])
    func `a standby that others archive for is well, and says what it leaves to them`(
        _ segments: UInt64, age: Double, mode: String, says: String
    ) throws {
        var observation = try ObservedCluster.healthy()
        observation.followSilently(segments, age: age, mode: mode)
        let result = try #require(
            judge(observation, by: ObservedCluster.configuration()).first { $0.id == "archiving" })
        #expect(result.status == .ok && result.message.hasSuffix(says), "\(result.message)")
    }

    @Test func `every check can be silenced, keeps its reason, and comes back when the silence is over`() throws {
        for definition in CheckDefinition.all {
            let troubles = Trouble.all.filter { $0.check == definition.id }
            #expect(!troubles.isEmpty, "\(definition.id) has no trouble to test it with")
            guard let trouble = troubles.first(where: { $0.lines.isEmpty }) ?? troubles.first else { continue }
            var observation = try ObservedCluster.healthy()
            try trouble.spoil(&observation)
            func result(_ silence: String) throws -> CheckResult {
                let configuration = try ObservedCluster.configuration(
                    trouble.lines + ["\(definition.id)_silenced = '\(silence)'"])
                return try #require(judge(observation, by: configuration).first { $0.id == definition.id })
            }
            let silenced = try result("we know")
            #expect(
                silenced.status == .silenced && silenced.silence == "we know"
                    && silenced.silencedStatus == trouble.status)
            #expect(try result("until 2026-11-20: we know").status == .silenced)
            #expect(try result("until 2026-11-19: we know").status == trouble.status)
        }
    }
}

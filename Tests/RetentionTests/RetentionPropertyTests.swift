import Glibc
import Planning
import Recovery
import Retention
import Testing
import WAL

@Suite struct RetentionPropertyTests {
    static let policies: [(String, RetentionPolicy)] = {
        func policy(_ change: (inout RetentionPolicy) -> Void) -> RetentionPolicy {
            var policy = RetentionPolicy()
            change(&policy)
            return policy
        }
        let day: Int64 = 86_400_000
        return [
            ("keep_full", policy { $0.keepFull = 3 }),
            ("window", policy { $0.recoveryWindow = 14 * day }),
            (
                "all tiers",
                policy {
                    ($0.keepDaily, $0.keepWeekly, $0.keepMonthly) = (7, 4, 12)
                    $0.recoveryWindow = 7 * day
                }
            ),
            ("days and WAL", policy { ($0.keepDays, $0.keepWAL) = (10, 20 * day) }),
            ("WAL only", policy { $0.keepWAL = 5 * day }),
        ]
    }()

    @Test(arguments: Array(0..<policies.count), getenv("TIDEMARK_SOAK") == nil ? [1, 2] : [1, 2, 3, 4] as [UInt64])
    func `everything promised can still be planned, whatever happened`(_ which: Int, seed: UInt64) throws {
        let (_, policy) = Self.policies[which]
        var cluster = SimulatedCluster(seed: seed &* 1000 &+ UInt64(which))
        var refusals = 0
        var expired = 0
        let days = getenv("TIDEMARK_SOAK") == nil ? 400 : 1500
        for day in 1...days {
            cluster.live()
            guard day % 3 == 0 else { continue }
            let present = cluster.all.filter { cluster.left.contains($0.label) }
            let newest = present.filter { !$0.isAside }.max { ($0.timeline, $0.stop) < ($1.timeline, $1.stop) }
            do {
                let decision = try decideRetention(
                    present, timelines: cluster.timelines(), policy: policy, now: cluster.now,
                    firstWAL: cluster.firstWAL)
                expired += decision.expired.count
                check(counts: decision, present, policy)
                checkBranches(decision, cluster, policy)
                try checkVerification(decision, present, cluster, policy)
                cluster.apply(decision)
            } catch {
                // Only for a clock that is behind even the newest backup.
                #expect(try #require(newest).stopTime > cluster.now)
                refusals += 1
            }
            if day % 45 == 0 || day > days - 3 { try checkRecoverable(cluster, policy) }
        }
        // WAL that no promise covers is not kept longer than necessary, even where backups expire earlier than WAL.
        #expect(cluster.removed.count > cluster.commits.values.map(\.count).reduce(0, +) / 20)
        #expect(policy.keepWAL != nil && !policy.keepsSomeBackups || expired > 25)
    }

    private func check(counts decision: RetentionDecision, _ present: [RetainedBackup], _ policy: RetentionPolicy) {
        let kept = decision.kept
        let good = present.filter { $0.damage == nil }.sorted { ($0.timeline, $0.stop) < ($1.timeline, $1.stop) }
        if let newest = good.last { #expect(kept.contains(newest.label)) }
        #expect(present.allSatisfy { !$0.isPinned || kept.contains($0.label) })
        if let count = policy.keepFull { #expect(good.suffix(count).allSatisfy { kept.contains($0.label) }) }
        #expect(decision.verdicts.allSatisfy { !$0.reasons.isEmpty })
    }

    /// Whatever is on other branches, each living one keeps its newest backup, and the newest full ones.
    private func checkBranches(_ decision: RetentionDecision, _ cluster: SimulatedCluster, _ policy: RetentionPolicy) {
        for timeline in cluster.alive {
            guard let end = cluster.commits[timeline]?.last, cluster.skew == 0,
                // Until it continues, it can't be distinguished from one that a failover ended.
                cluster.timelines().allSatisfy({ $0.history.switchPoint(from: timeline) != end.record.end })
            else { continue }
            let good = cluster.backups(before: end.record.end, on: timeline).filter { $0.damage == nil }
            for backup in good.suffix(max(1, policy.keepFull ?? 0)) {
                #expect(decision.kept.contains(backup.label), "timeline \(timeline): \(decision.verdicts)")
            }
            if let newest = good.last, let from = decision.keepWALFrom {
                #expect(from <= newest.start, "timeline \(timeline): \(newest)")
            }
        }
    }

    /// The result of a verification never removes what would stay without it.
    private func checkVerification(
        _ decision: RetentionDecision, _ present: [RetainedBackup], _ cluster: SimulatedCluster,
        _ policy: RetentionPolicy
    ) throws {
        let sound = present.map { backup in
            var backup = backup
            if !backup.isAside { backup.damage = nil }
            return backup
        }
        let unverified = try decideRetention(
            sound, timelines: cluster.timelines(), policy: policy, now: cluster.now, firstWAL: cluster.firstWAL)
        #expect(decision.kept.isSuperset(of: unverified.kept))
        if let from = decision.keepWALFrom { #expect(unverified.keepWALFrom.map { from <= $0 } == true) }
    }

    /// Everything that was reachable in the promised period with all objects ever stored is reachable with the
    /// remaining ones.
    private func checkRecoverable(_ cluster: SimulatedCluster, _ policy: RetentionPolicy) throws {
        var (full, left) = (cluster, cluster)
        full.freeze(seeing: .all)
        left.freeze(seeing: .left)
        for backup in left.backups() {
            var target = RecoveryTarget(.immediate)
            target.timeline = .number(backup.timeline)
            guard (try? plan(PlanRequest(target, backup: backup.label), from: full)) != nil else { continue }
            let planned = Result { try plan(PlanRequest(target, backup: backup.label), from: left) }
            if case .failure(let error) = planned {
                Issue.record("backup \(backup) cannot be recovered: \(error)")
            }
        }
        guard !left.backups().isEmpty, cluster.skew == 0 else { return }
        if let age = policy.keepWAL {
            for (timeline, commits) in cluster.commits where !cluster.aside.contains(timeline) {
                for commit in commits
                where commit.isHonest && commit.time > Moment(microseconds: cluster.now.microseconds - age * 1000) {
                    let name = SegmentName(
                        timeline: timeline, containing: commit.record.start, segmentSize: cluster.segmentSize)
                    #expect(!cluster.removed.contains(name), "\(name) is younger than keep_wal")
                }
            }
        }
        var targets: [(TimelineID, LSN)] = []
        let window = policy.recoveryWindow.map { cluster.now.microseconds - $0 * 1000 }
        for (timeline, commits) in cluster.commits where !cluster.aside.contains(timeline) {
            for commit in commits where commit.isHonest {
                if let window, commit.time.microseconds >= window { targets.append((timeline, commit.record.start)) }
            }
        }
        for timeline in cluster.alive {
            if let last = cluster.commits[timeline]?.last { targets.append((timeline, last.record.start)) }
        }
        // A selection: planning all of them takes minutes.
        for (timeline, lsn) in targets.enumerated().filter({ $0.offset % 7 == 0 || $0.offset > targets.count - 3 })
            .map(\.element)
        {
            var target = RecoveryTarget(.lsn(lsn))
            target.timeline = .number(timeline)
            guard (try? plan(PlanRequest(target), from: full)) != nil else { continue }
            let kept = Result { try plan(PlanRequest(target), from: left) }
            if case .failure(let error) = kept {
                Issue.record("timeline \(timeline), LSN \(lsn) was promised: \(error)")
            }
        }
    }
}

extension RetentionPolicy {
    fileprivate var keepsSomeBackups: Bool {
        keepFull != nil || keepDays != nil || keepDaily != nil || recoveryWindow != nil
    }
}

import Glibc
import Planning
import Platform
import Recovery
import Support
import Testing
import WAL

/// Every prediction of a plan is carried out, and must agree with what PostgreSQL did.
@Suite(.serialized) struct PredictionServerTests {
    private let isSoak = getenv("TIDEMARK_SOAK") != nil

    @Test(arguments: TestServer.allCases)
    func `the plan ends where PostgreSQL ends, whatever the target`(_ server: TestServer) throws {
        let history = try History(server)
        // One version gets ten thousand transactions; the others do in the long run only.
        let isLong = server == .v15 || isSoak
        var backups = [try history.backup("first")]
        try history.work(clients: 4, transactions: isLong ? 1200 : 120)
        backups.append(try history.backup("second"))
        try history.work(clients: 8, transactions: isLong ? 650 : 60)
        try history.site.archiveEverything()

        let source = try history.source(backups)
        let everything = try plan(PlanRequest(RecoveryTarget(.latest), backup: "first"), from: source)
        let records = try Self.records(of: everything, source)
        let seed = UInt64(Clock.now)
        var random = SeededGenerator(seed: seed)
        var carriedOut = 0
        let ends = records.compactMap(\.content.transactionEnd).count
        #expect(ends >= (isLong ? 8500 : 800), "of 20 transactions 19 end in a record")
        for target in Self.targets(records, count: isSoak ? 100 : 14, &random) {
            if try Self.compare(target, history, source, records, seed: seed) { carriedOut += 1 }
        }
        #expect(carriedOut >= 7)
    }

    @Test(arguments: TestServer.allCases)
    func `three generations of timelines are planned and recovered, on each of them`(_ server: TestServer) throws {
        let history = try History(server)
        var backups = [try history.backup("on-1")]
        let transactions = isSoak ? 800 : 40
        try history.work(clients: 4, transactions: transactions)
        try history.site.archiveEverything()
        try history.site.cluster.stop()

        let seed = UInt64(Clock.now)
        var random = SeededGenerator(seed: seed)
        // Timeline 2 branches from 1, 3 from 2, and 4 from 1 again.
        for (parent, label) in [(1, "on-2"), (2, "on-3"), (1, "on-4")] {
            let source = try history.source(backups)
            let timeline = TimelineID(UInt32(parent))
            let all = try plan(
                PlanRequest(RecoveryTarget(.latest, timeline: .number(timeline)), backup: "on-\(parent)"), from: source)
            let commits = try Self.records(of: all, source).compactMap(\.content.commit)
            let target = RecoveryTarget(.xid(commits[commits.count / 2].xid), timeline: .number(timeline))
            let made = try plan(PlanRequest(target), from: source)
            let branch = try RecoveredServer(history, made, archives: true)
            let outcome = try branch.outcome()
            #expect(label == "on-\(outcome.timeline)")
            #expect(LSN.agree(outcome.end, made.end, segmentSize: made.segmentSize))
            // A transaction prepared at the target is still there; the clients would use its name again.
            for name in try branch.psql("select gid from pg_prepared_xacts").split(separator: "\n") {
                try branch.psql("rollback prepared '\(name)'")
            }
            backups.append(try history.backup(label, of: branch))
            try history.work(clients: 4, transactions: transactions, on: branch)
            try branch.retire()
        }

        let source = try history.source(backups)
        for number in 1...4 as ClosedRange<UInt32> {
            let timeline = RecoveryTarget.Timeline.number(TimelineID(number))
            let everything = try plan(
                PlanRequest(RecoveryTarget(.latest, timeline: timeline), backup: "on-1"), from: source)
            #expect(
                everything.path.steps.map(\.timeline.rawValue) == [[1], [1, 2], [1, 2, 3], [1, 4]][Int(number) - 1])
            let records = try Self.records(of: everything, source)
            for var target in Self.targets(records, count: isSoak ? 30 : 3, &random).dropFirst() {
                target.timeline = timeline
                _ = try Self.compare(target, history, source, records, seed: seed)
            }
        }
        // The newest timeline in PostgreSQL's sense.
        let newest = try plan(PlanRequest(RecoveryTarget(.latest, timeline: .latest)), from: source)
        #expect(newest.timeline == TimelineID(4))
        #expect(newest.backup.label == "on-4")
    }

    /// Every record since the first backup's start.
    private static func records(of plan: Plan, _ source: ArchivePlanSource) throws -> [ReplayRecord] {
        let first = plan.segments[0].first.number(segmentSize: plan.segmentSize)
        let path = WALSegments(
            plan.path, first: first, count: plan.segmentCount, segmentSize: plan.segmentSize)
        var all: [ReplayRecord] = []
        for index in path.indices {
            try source.records(of: path, at: index) { record in
                if record.start >= plan.backup.start { all.append(record) }
                return true
            }
        }
        return all
    }

    /// One of each kind first, then at random.
    private static func targets(_ records: [ReplayRecord], count: Int, _ random: inout SeededGenerator)
        -> [RecoveryTarget]
    {
        let ends = records.compactMap(\.content.transactionEnd)
        let points = records.compactMap { record -> RestorePoint? in
            if case .restorePoint(let point) = record.content { point } else { nil }
        }
        let latest = RecoveryTarget(.latest)
        return [latest, RecoveryTarget(.immediate)]
            + (2..<count).map { n in
                let inclusive = Bool.random(using: &random)
                let end = ends.randomElement(using: &random)!
                switch n % 6 {
                case 0: return RecoveryTarget(.time(end.time), inclusive: inclusive)
                case 1:
                    let between = Moment(
                        microseconds: end.time.microseconds + Int64.random(in: -30000...30000, using: &random))
                    return RecoveryTarget(.time(between), inclusive: inclusive)
                case 2: return RecoveryTarget(.xid(end.xid), inclusive: inclusive)
                case 3: return RecoveryTarget(.lsn(end.lsn), inclusive: inclusive)
                case 4:
                    let record = records.randomElement(using: &random)!
                    let shift = Int64.random(in: -3...3, using: &random) * 8
                    return RecoveryTarget(
                        .lsn(LSN(UInt64(Int64(record.start.rawValue) + shift))), inclusive: inclusive)
                default: return points.randomElement(using: &random).map { RecoveryTarget(.name($0.name)) } ?? latest
                }
            }
    }

    private static func compare(
        _ target: RecoveryTarget, _ history: History, _ source: ArchivePlanSource, _ records: [ReplayRecord],
        seed: UInt64
    ) throws -> Bool {
        let made: Plan
        do { made = try plan(PlanRequest(target), from: source) } catch let refusal as PlanRefusal {
            // Targets before the first backup's end, and those that need the WAL after the archive's end.
            switch refusal.reason {
            case .beforeFirstBackup, .neverConsistent, .afterLast: return false
            default: throw refusal
            }
        }
        let outcome = try RecoveredServer(history, made, archives: false).outcome()
        let what = Comment(
            rawValue:
                "\(target.arguments.joined(separator: " ")) from \(made.backup.label), seed \(seed): the plan ends at "
                + "\(made.end), PostgreSQL at \(outcome.end), \(outcome.reason)")
        #expect(LSN.agree(outcome.end, made.end, segmentSize: made.segmentSize), what)
        let commits = records.compactMap(\.content.commit)
        let expected = Set(commits.filter { $0.lsn < made.end }.map(\.xid))
        #expect(outcome.xids.subtracting(expected).sorted() == [], what)
        // Every transaction since the first backup inserts one row.
        #expect(expected.subtracting(outcome.xids).sorted() == [], what)
        if let last = made.lastIncluded { #expect(expected.contains(last.xid), what) }
        if let first = made.firstExcluded { #expect(!outcome.xids.contains(first.xid), what) }
        return true
    }
}

import Messages
public import WAL

/// A request to the planner.
public struct PlanRequest: Hashable, Sendable {
    public var target: RecoveryTarget
    /// Use this backup, and no other.
    public var backup: String?
    /// The incarnation's folder, if options must name it because another one is in use.
    public var incarnation: String?
    /// The cluster's position, if known: it decides which timeline is the latest.
    public var known: KnownPlace?

    public init(_ target: RecoveryTarget, backup: String? = nil, known: KnownPlace? = nil) {
        (self.target, self.backup, self.known) = (target, backup, known)
    }

    /// The command-line options for this request.
    public var arguments: [String] {
        target.arguments + (backup.map { ["--backup", shellQuoted($0)] } ?? [])
            + (incarnation.map { ["--incarnation", shellQuoted($0)] } ?? [])
    }
}

/// Plans the recovery: the newest backup that is consistent at or before the target on a timeline of the target's
/// history, the WAL from there, and where PostgreSQL will stop in it.
///
/// Reads summaries, then the one or two segments around the target; changes nothing.
/// - Throws: `PlanRefusal` when the target can't be reached; whatever `source` throws.
public func plan(_ request: PlanRequest, from source: some PlanSource) throws -> Plan {
    try Planner(request: request, source: source).plan()
}

struct Planner<Source: PlanSource> {
    typealias Candidate = (backup: RestorableBackup, path: TimelinePath)

    let target: RecoveryTarget
    let request: PlanRequest
    let source: Source
    let backups: [RestorableBackup]
    let archived: SegmentSet
    let histories: [TimelineID: TimelineHistory]
    /// A timeline whose history only the cluster itself has: a recovered server would not find it.
    let unarchived: TimelineID?
    let known: FactsStore
    /// Whether a refusal searches for alternatives; false while one is tested.
    let makesOffers: Bool

    init(request: PlanRequest, source: Source) throws {
        self.request = request
        target = request.target
        self.source = source
        backups = try source.backups().sorted { ($0.stop, $0.label) < ($1.stop, $1.label) }
        archived = try source.segments()
        var histories = try source.histories()
        var unarchived: TimelineID?
        if let own = request.known?.history, histories[own.timeline] == nil {
            histories[own.timeline] = own
            if own.timeline > TimelineID(1) { unarchived = own.timeline }
        }
        (self.histories, self.unarchived) = (histories, unarchived)
        known = FactsStore()
        makesOffers = true
    }

    /// A planner for another request on the same archive, without offers.
    init(asking request: PlanRequest, like other: Planner) {
        (self.request, target) = (request, request.target)
        (source, backups, archived, histories) = (other.source, other.backups, other.archived, other.histories)
        (unarchived, known, makesOffers) = (other.unarchived, other.known, false)
    }

    func plan() throws -> Plan {
        guard !backups.isEmpty else { throw refusal(.noBackup) }
        if let label = request.backup, !backups.contains(where: { $0.label == label }) {
            throw refusal(.unknownBackup(label))
        }
        let history: History
        switch try choice() {
        case .history(let chosen): history = chosen
        case .branches(let branches):
            try refuseLostHistory(among: branches)
            return try plan(among: branches)
        }
        try refuseLostHistory(besides: history)
        var plan = try plan(on: history)
        plan.warnings += history.remarks
        plan.offers += history.offers
        if let unarchived, plan.path.steps.contains(where: { $0.timeline == unarchived }) {
            throw refusal(.historyNotArchived(unarchived, in: request.known?.directory))
        }
        // The server asks for every history between the backup's timeline and the target's.
        if makesOffers,
            let damaged = try source.lostHistories().first(where: { $0.isDamaged && $0.timeline > plan.backup.timeline }
            )
        {
            throw refusal(.lostHistory(damaged))
        }
        return plan
    }

    /// Without an explicit timeline, a newer one than the chosen one may be the cluster's.
    func refuseLostHistory(besides history: History) throws {
        guard makesOffers, let followed = history.timeline else { return }
        let lost = try source.lostHistories().filter { $0.timeline > followed }
        // Before a recovered server takes a number of its own it requests a damaged history, whatever timeline it
        // follows.
        if let damaged = lost.last(where: \.isDamaged) { throw refusal(.lostHistory(damaged)) }
        guard [.own, .latest].contains(target.timeline), request.known?.takesWrites != true, let lost = lost.last else {
            return
        }
        let known = Set(history.candidates[0].path.steps.map(\.timeline) + [followed, lost.timeline]).sorted()
        throw refusal(.lostHistory(lost), nearest: offers(known.map { onTimeline($0) }))
    }

    /// Without its history a timeline looks like a branch; the missing history is reported instead.
    func refuseLostHistory(among branches: [Branch]) throws {
        let timelines = Set(branches.map(\.timeline))
        guard makesOffers, let lost = try source.lostHistories().last(where: { timelines.contains($0.timeline) }) else {
            return
        }
        throw refusal(.lostHistory(lost), nearest: offers(timelines.sorted().map { onTimeline($0) }))
    }

    /// A damaged backup is used only when it was named, or when no other one reaches the target.
    /// - Throws: `PlanRefusal`.
    func plan(on history: History) throws -> Plan {
        let sound = history.candidates.filter { $0.backup.damage == nil }
        if request.backup == nil, !sound.isEmpty, sound.count < history.candidates.count {
            do {
                var plan = try plan(from: sound)
                plan.warnings += history.candidates.map(\.backup).compactMap { other in
                    guard let damage = other.damage, other.stop > plan.backup.stop, mayServe(other) else { return nil }
                    return "Backup \"\(other.label)\" is passed over, because it is damaged: \(damage)."
                }
                return plan
            } catch is PlanRefusal {}
        }
        return try plan(from: history.candidates)
    }

    /// Again whenever reading shows that the WAL ends earlier.
    private func plan(from all: [Candidate]) throws -> Plan {
        while true {
            do { return try planOnce(from: all) } catch is UnreadSegment {}
        }
    }

    private func planOnce(from all: [Candidate]) throws -> Plan {
        let wanted = all.filter { request.backup == nil || $0.backup.label == request.backup }
        guard let oldest = wanted.first else {
            let timeline = all[0].path.target
            throw refusal(.notAnAncestor(timeline, backups: timelinesWithBackups()), nearest: otherTimelines(nil))
        }
        let early = wanted.filter { mayServe($0.backup) }
        guard !early.isEmpty else { throw tooEarly(oldest) }
        var passedOver: [PassedOver] = []
        var unreached: ReplayWAL<Source>?
        for candidate in early.reversed() {
            let wal = try replayWAL(candidate)
            let rule = StopRule(target: target, consistent: candidate.backup.stop)
            if target.point == .latest { return try planToTheEnd(wal) }
            if let stop = try wal.firstStop(rule) {
                if stop.point.position >= candidate.backup.stop {
                    return try finish(
                        try direct(wal, to: stop.point), whole: wal, stop: stop.point, end: stop.point.position,
                        index: stop.index, passedOver: passedOver.filter(endedInTime))
                }
                passedOver.append(PassedOver(candidate.backup, stop: stop.point.position))
                continue
            }
            switch target.point {
            case .name, .xid: continue
            // After the clock was set back, an older backup may be followed by later times than a newer one.
            case .time:
                unreached = unreached ?? wal
                passedOver.append(PassedOver(candidate.backup, stop: nil))
            case .lsn, .immediate, .latest: throw try beyond(wal)
            }
        }
        switch target.point {
        case .name, .xid: throw try notFound(wanted)
        default:
            if let unreached { throw try beyond(unreached) }
            throw refusal(.neverConsistent(passedOver), nearest: offers([immediate(early[early.count - 1].backup)]))
        }
    }

    func replayWAL(_ candidate: Candidate) throws -> ReplayWAL<Source> {
        try ReplayWAL(
            backup: candidate.backup, path: candidate.path, archived: archived, source: source, known: known)
    }

    /// Whether the backup may serve: a target with a time or position rules out later backups without reading WAL.
    private func mayServe(_ backup: RestorableBackup) -> Bool {
        switch target.point {
        case .time(let time): backup.startTime <= time
        case .lsn(let lsn): backup.start <= lsn
        case .xid, .name, .immediate, .latest: true
        }
    }

    /// Whether the backup ended before the target, so that it might be expected to serve.
    private func endedInTime(_ passed: PassedOver) -> Bool {
        if case .time(let time) = target.point { passed.backup.stopTime <= time } else { true }
    }

    // MARK: Timelines

    func onPath(_ path: TimelinePath) -> [Candidate] {
        backups.filter { path.contains($0.timeline, upTo: $0.stop) }.map { ($0, path) }
    }

    func path(to timeline: TimelineID) -> TimelinePath? {
        TimelinePath(
            to: timeline, histories: histories,
            known: !archived.runs(of: timeline).isEmpty || backups.contains { $0.timeline == timeline })
    }

    /// The timeline that PostgreSQL's default chooses for a backup on this one: the last one before a number without a
    /// history file (`findNewestTimeLine`, timeline.c).
    func latest(from timeline: TimelineID) -> TimelineID {
        var newest = timeline
        while newest.rawValue < .max, histories[TimelineID(newest.rawValue + 1)] != nil {
            newest = TimelineID(newest.rawValue + 1)
        }
        return newest
    }

    /// Every timeline the archive knows, ascending.
    func timelines() -> [TimelineID] {
        Set(histories.keys).union(archived.timelines).union(backups.map(\.timeline)).sorted()
    }

    func timelinesWithBackups() -> [TimelineID] { Set(backups.map(\.timeline)).sorted() }

    func refusal(
        _ reason: PlanRefusal.Reason, nearest: [PlanRefusal.Alternative] = [], remarks: [String] = []
    ) -> PlanRefusal {
        PlanRefusal(target, reason, nearest: nearest, remarks: remarks)
    }
}

/// A backup that was examined and can't serve.
public struct PassedOver: Hashable, Sendable {
    public let backup: RestorableBackup
    /// Where recovery would stop, before the backup is consistent; nil when it would not stop at all.
    public let stop: LSN?

    init(_ backup: RestorableBackup, stop: LSN?) { (self.backup, self.stop) = (backup, stop) }

    var sentence: String {
        guard let stop else {
            return "Backup \"\(backup.label)\" is passed over: no transaction after it ended later than the target."
        }
        return "Backup \"\(backup.label)\" is passed over: recovery would stop at LSN \(stop), before it is "
            + "consistent at \(backup.stop)."
    }
}

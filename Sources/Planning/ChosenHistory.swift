import Messages
public import WAL

/// A cluster's position, or its last one when its server died: the WAL it wrote or replayed goes at least this far.
public struct KnownPlace: Hashable, Sendable {
    public var timeline: TimelineID
    public var position: LSN
    /// Whether the server is a primary, whose position is final; a standby may still follow a newer timeline that
    /// branches off later.
    public var takesWrites: Bool
    /// The server's copy of the timeline's history, which may not be archived yet.
    public var history: TimelineHistory?
    /// The source of this, as the beginning of a sentence: `The server in "/srv/pg" is`.
    public var witness: String
    /// The data directory that shows it; nil when none does.
    public var directory: String?

    public init(
        timeline: TimelineID, position: LSN, takesWrites: Bool, history: TimelineHistory? = nil, witness: String,
        directory: String? = nil
    ) {
        (self.timeline, self.position, self.takesWrites) = (timeline, position, takesWrites)
        (self.history, self.witness, self.directory) = (history, witness, directory)
    }

    /// Whether the cluster may be on this path, or may still come onto it.
    func mayFollow(_ path: TimelinePath) -> Bool {
        takesWrites ? path.target == timeline : path.contains(timeline, upTo: position)
    }
}

extension Planner {
    /// A history on which the target may lie: its backups, oldest first, each with its recovery path.
    struct History {
        /// Nil when the backups have different timelines.
        var timeline: TimelineID?
        /// At least one.
        var candidates: [Candidate]
        /// Remarks about the choice, as sentences.
        var remarks: [String] = []
        /// Alternatives that the remarks offer.
        var offers: [PlanRefusal.Alternative] = []
    }

    enum Choice {
        case history(History)
        /// It can't be told which of them is meant.
        case branches([Branch])
    }

    /// The history that the target's timeline stands for.
    /// - Throws: `PlanRefusal` when no backup lies on it.
    func choice() throws -> Choice {
        switch target.timeline {
        case .number(let timeline): return .history(try history(of: timeline))
        case .current:
            return .history(
                History(candidates: backups.compactMap { backup in path(to: backup.timeline).map { (backup, $0) } }))
        case .own: return try own()
        case .latest: return .history(try newest(timelines().compactMap(path(to:))))
        }
    }

    private func history(of timeline: TimelineID) throws -> History {
        guard let path = path(to: timeline) else {
            let children = histories.values.filter { $0.includes(timeline) }.map(\.timeline).sorted()
            throw refusal(
                .unknownTimeline(timeline, known: timelines(), descendants: children),
                nearest: children.isEmpty ? otherTimelines(nil) : offers(children.map { onTimeline($0) }))
        }
        let found = onPath(path)
        guard !found.isEmpty else {
            throw refusal(
                .notAnAncestor(timeline, backups: timelinesWithBackups()), nearest: otherTimelines(path))
        }
        return History(timeline: timeline, candidates: found)
    }

    /// The timeline the cluster is known to be on, or else the one that holds every commit of the archive. Several
    /// timelines that each hold commits of their own are branches: then only backups can show which of them is the
    /// cluster's.
    private func own() throws -> Choice {
        let all = timelines().compactMap(path(to:))
        guard !all.isEmpty else { throw refusal(.noBackup) }
        var paths = all
        if let known = request.known {
            let own = all.filter(known.mayFollow)
            if !own.isEmpty { paths = own }
        }
        let isKnown = paths.count < all.count || request.known?.takesWrites == true
        let ends = try ends(of: all)
        let chosen: TimelinePath
        var decisive: [RestorableBackup] = []
        let complete = paths.filter { path in paths.allSatisfy { ends[$0.target].map(path.holds) ?? true } }
        if let whole = preferred(complete) {
            chosen = whole
        } else {
            let tips = tips(of: paths, ends)
            let claim = claim(among: tips, ends)
            guard claim != nil || tips.isEmpty else {
                return .branches(
                    tips.compactMap { tip in
                        preferred(tip).map { branch($0, ends[$0.target], backups(of: tip, among: tips).last) }
                    })
            }
            chosen = claim.flatMap { preferred($0.tip) } ?? paths[paths.count - 1]
            decisive = claim?.backups ?? []
        }
        var history = isKnown ? try history(of: chosen.target) : try newest(all + [chosen])
        let followed = history.candidates[0].path
        (history.remarks, history.offers) = remarks(about: all, ends, besides: followed, isKnown: isKnown) { path in
            if isKnown, let known = request.known { return "\(known.witness) on timeline \(known.timeline)" }
            let timelines = Set(decisive.map(\.timeline)).sorted().map(\.description).joined(separator: ", ")
            if !timelines.isEmpty { return "Backups were taken on timeline \(timelines) after they had diverged" }
            return onPath(path).isEmpty
                ? "No backup is on its history" : "Timeline \(followed.target) is the newest one with a backup"
        }
        return .history(history)
    }

    /// The newest of several paths with the same commits, preferably one with a backup.
    private func preferred(_ paths: [TimelinePath]) -> TimelinePath? {
        paths.last { !onPath($0).isEmpty } ?? paths.last
    }

    /// The paths whose commits no other path holds completely, oldest first. Paths that end with the same commit are
    /// grouped, such as a timeline and those that began after its last commit and have no commits of their own yet.
    private func tips(of paths: [TimelinePath], _ ends: [TimelineID: PlacedCommit]) -> [[TimelinePath]] {
        func holds(_ path: TimelinePath, allOf other: TimelinePath) -> Bool {
            ends[other.target].map(path.holds) ?? true
        }
        var tips: [[TimelinePath]] = []
        for path in paths where paths.allSatisfy({ !holds($0, allOf: path) || holds(path, allOf: $0) }) {
            if let same = tips.firstIndex(where: { holds($0[0], allOf: path) }) {
                tips[same].append(path)
            } else {
                tips.append([path])
            }
        }
        return tips.sorted { $0[$0.count - 1].target < $1[$1.count - 1].target }
    }

    /// The last of these paths with a backup; without one it leads nowhere.
    private func newest(_ paths: [TimelinePath]) throws -> History {
        for path in paths.reversed() {
            let found = onPath(path)
            if !found.isEmpty { return History(timeline: path.target, candidates: found) }
        }
        throw refusal(.notAnAncestor(paths.last?.target ?? TimelineID(1), backups: timelinesWithBackups()))
    }

    private func ends(of paths: [TimelinePath]) throws -> [TimelineID: PlacedCommit] {
        var ends: [TimelineID: PlacedCommit] = [:]
        for path in paths { ends[path.target] = try lastCommit(on: path) }
        return ends
    }

    /// The last commit on a path, of any of its timelines: a timeline without commits of its own holds its ancestors'.
    /// Nil when the archive has none.
    func lastCommit(on path: TimelinePath) throws -> PlacedCommit? {
        let size = source.segmentSize
        func hasFile(before number: UInt64) -> Bool {
            number > 0 && archived.contains(path.segment(number - 1, segmentSize: size))
        }
        var places: [(number: UInt64, commit: () throws -> TransactionMark?)] = []
        for (_, numbers) in path.lineage(segmentSize: size).archived(in: archived) {
            // The record across the left boundary began in the previous file.
            let first = numbers.lowerBound - (hasFile(before: numbers.lowerBound) ? 1 : 0)
            let segments = WALSegments(
                path, first: first, count: Int(numbers.upperBound - first) + 1, segmentSize: size)
            // The files of a path hold nothing that isn't on it.
            places.append((numbers.upperBound, { try source.lastCommit(of: segments, from: .zero) }))
        }
        // Where a timeline's first segment is missing, its parent's has the beginning of it.
        for number in Set(path.steps.dropFirst().map { $0.begin.rawValue / UInt64(size) })
        where !archived.contains(path.segment(number, segmentSize: size)) {
            guard
                let (name, next) = path.lineage(segmentSize: size).substitutes(for: number)
                    .last(where: { archived.contains($0.name) })
            else { continue }
            let before: UInt64 = hasFile(before: number) ? 1 : 0
            let segments = WALSegments(
                path, first: number - before, count: Int(before) + 1, segmentSize: size, last: name)
            places.append(
                (
                    number,
                    {
                        var last: TransactionMark?
                        do {
                            try source.landmarks(of: segments, at: Int(before)) { record in
                                guard record.end <= next.begin else { return false }
                                last = record.content.commit ?? last
                                return true
                            }
                        } catch  where !isOutOfReach(error) {
                            // The WAL ends where its records can't be read.
                        }
                        return last
                    }
                ))
        }
        for place in places.sorted(by: { $0.number > $1.number }) {
            if let mark = try place.commit() {
                return PlacedCommit(timeline: path.timeline(at: mark.lsn), mark: mark)
            }
        }
        return nil
    }

    /// Remarks about commits on other timelines that the chosen one lacks, where the newest timeline may have been
    /// expected.
    private func remarks(
        about all: [TimelinePath], _ ends: [TimelineID: PlacedCommit], besides chosen: TimelinePath, isKnown: Bool,
        why: (TimelinePath) -> String
    ) -> ([String], offers: [PlanRefusal.Alternative]) {
        guard makesOffers else { return ([], []) }
        var offers: [PlanRefusal.Alternative] = []
        let others = all.filter { path in
            // If the cluster has left that timeline for the chosen one, a target time refers to the chosen one.
            if case .time = target.point, chosen.steps.contains(where: { $0.timeline == path.target }) { return false }
            guard path.target > chosen.target || (!isKnown && path.target != chosen.target) else { return false }
            return ends[path.target].map { !chosen.holds($0) } ?? false
        }
        let sentences = others.enumerated().compactMap { index, path -> String? in
            guard let end = ends[path.target],
                // Of several with the same commits the newest suffices.
                !others[(index + 1)...].contains(where: { ends[$0.target] == end })
            else { return nil }
            let (parting, at) = chosen.parting(from: path)
            let other = offer(onTimeline(path.target)) { _ in "on timeline \(path.target)" }
            if let other { offers.append(other) }
            let isKnown = path.steps.count > 1 || path.target == TimelineID(1)
            let place =
                isKnown
                ? "it parts from this history at LSN \(at) of timeline \(parting)" : "its history is not in the archive"
            return "Timeline \(path.target) is not followed: \(place), and its last transaction is "
                + "\(end.mark.xid), \(end.mark.time). \(why(path))."
                + (other.map { " To follow the other: \($0.arguments.joined(separator: " "))." } ?? "")
                + (request.known?.takesWrites == true ? " To move it out of the way: \(putAside(path.target))." : "")
        }
        return (sentences + forks(of: all, ends, besides: chosen, isKnown: isKnown), offers)
    }

    /// Remarks about newer timelines without commits of their own that left the chosen one before its last commit: the
    /// cluster may be on one of them.
    private func forks(
        of all: [TimelinePath], _ ends: [TimelineID: PlacedCommit], besides chosen: TimelinePath, isKnown: Bool
    ) -> [String] {
        guard !isKnown, let end = ends[chosen.target] else { return [] }
        return all.filter { path in
            path.target > chosen.target && !path.holds(end) && (ends[path.target].map(chosen.holds) ?? true)
        }.map { path in
            let (parting, at) = chosen.parting(from: path)
            return "Timeline \(path.target) is not followed: it left timeline \(parting) at LSN \(at), before the last "
                + "transaction of this history, and has no transaction of its own."
        }
    }

    /// A timeline that has descendants is put aside last.
    private func putAside(_ timeline: TimelineID) -> String {
        let descendants = histories.values.filter { $0.includes(timeline) }.map(\.timeline)
        return Set(descendants + [timeline]).sorted(by: >)
            .map { runnable("tidemark segments put-aside \($0.fileNamePart).history") }.joined(separator: "; ")
    }
}

/// A commit, and the timeline whose files hold it.
struct PlacedCommit: Hashable {
    let timeline: TimelineID
    let mark: TransactionMark
}

extension TimelinePath {
    func holds(_ commit: PlacedCommit) -> Bool { contains(commit.timeline, upTo: commit.mark.end) }
}

public import Messages
public import WAL

/// A target that cannot be reached: why, and what can be reached instead. The command exits with status 4.
public struct PlanRefusal: Explained, Equatable {
    public enum Reason: Hashable, Sendable {
        /// The archive holds no complete backup.
        case noBackup
        /// No backup has that label.
        case unknownBackup(String)
        /// The named backup can't serve the target: it ended after it.
        case backupTooLate(RestorableBackup)
        /// The target lies before the end of the oldest backup of this history.
        case beforeFirstBackup(RestorableBackup)
        /// The target lies after the archive's last transaction (nil: there is none), or the LSN after its end.
        case afterLast(TransactionMark?, end: LSN)
        /// Segments are missing between the backup and the target.
        case gap([LineageGap])
        /// A segment between the backup and the target exists, but can't be replayed.
        case broken(WALBreak)
        /// A newer timeline's history file is missing: it may be the timeline to follow, or lead to it.
        case lostHistory(LostHistory)
        /// No backup was taken on the timeline, or on one of its ancestors before the next branched off.
        case notAnAncestor(TimelineID, backups: [TimelineID])
        /// The archive holds nothing of this timeline itself; these descend from it.
        case unknownTimeline(TimelineID, known: [TimelineID], descendants: [TimelineID])
        /// Several timelines continued after they diverged, and it can't be told which of them the cluster was on.
        case severalBranches([Branch])
        /// No backup is consistent where recovery would stop.
        case neverConsistent([PassedOver])
        /// The target's record is in the archive, but recovery doesn't replay it.
        case elsewhere(Whereabouts)
        /// The timeline begins in a segment that only its parent has archived.
        case timelineNotArchived(TimelineID, begin: LSN)
        /// The timeline's history file is in the cluster's own pg_wal, but not in the archive.
        case historyNotArchived(TimelineID, in: String?, isAside: Bool = false)
        case unknownRestorePoint(String, similar: [RestorePoint])
        case unknownTransaction(UInt32)
    }

    /// A target that can be reached, as a plan has proven. Only `Alternative.proven` makes one.
    public struct Alternative: Hashable, Sendable {
        /// What it is, to be followed by the options.
        public let meaning: String
        /// The complete options, quoted for a shell.
        public let arguments: [String]
        /// Where the recovery ends with them.
        public let end: LSN

        private init(meaning: String, arguments: [String], end: LSN) {
            (self.meaning, self.arguments, self.end) = (meaning, arguments, end)
        }

        /// `request` as an alternative to offer; nil when it can't be reached, or isn't what was meant.
        ///
        /// - Parameters:
        ///   - usePartials: whether it needs `--use-partial`.
        ///   - plan: makes the plan.
        ///   - meaning: describes the plan; nil when it isn't what was meant.
        public static func proven(
            _ request: PlanRequest, usePartials: Bool = false, by plan: (PlanRequest) throws -> Plan,
            _ meaning: (Plan) -> String?
        ) -> Alternative? {
            guard let made = try? plan(request), let meaning = meaning(made) else { return nil }
            // The option is named even if the refused command had it: the offered command is complete in itself.
            let usesPartials = usePartials || !made.partials.isEmpty
            return Alternative(
                meaning: meaning, arguments: request.arguments + (usesPartials ? ["--use-partial"] : []), end: made.end)
        }

        /// `--target latest (the end of the archive)`.
        public var sentence: String { "\(arguments.joined(separator: " ")) (\(meaning))" }
    }

    /// Where in the archive a record is that can't be the target.
    public struct Whereabouts: Hashable, Sendable {
        public enum Place: Hashable, Sendable {
            /// Before this backup, the oldest one of the history, is consistent.
            case before(RestorableBackup)
            /// On a timeline that this history leaves at a position before it; nil: that it doesn't pass through.
            case off(TimelineID, left: LSN?)
        }
        public var timeline: TimelineID
        public var lsn: LSN
        public var time: Moment
        public var place: Place
    }

    public let target: RecoveryTarget
    public let reason: Reason
    public let nearest: [Alternative]
    /// What else there is to know, as sentences.
    public let remarks: [String]

    public init(
        _ target: RecoveryTarget, _ reason: Reason, nearest: [Alternative] = [], remarks: [String] = []
    ) {
        (self.target, self.reason, self.nearest, self.remarks) = (target, reason, nearest, remarks)
    }

    /// - Parameter command: the command that takes the alternative's options, if it isn't the refused one.
    public func adding(_ alternative: Alternative, by command: String? = nil) -> PlanRefusal {
        guard let command else {
            return PlanRefusal(target, reason, nearest: [alternative] + nearest, remarks: remarks)
        }
        let words = runnable(([command] + alternative.arguments).joined(separator: " "))
        let remark = "With \"\(words)\" the whole cluster can be recovered (\(alternative.meaning))."
        return PlanRefusal(target, reason, nearest: nearest, remarks: remarks + [remark])
    }

    /// - Parameter more: what else there is to know, as sentences.
    public func adding(_ more: [String]) -> PlanRefusal {
        PlanRefusal(target, reason, nearest: nearest, remarks: remarks + more)
    }

    public var message: String {
        switch reason {
        case .noBackup: "cannot recover: there is no complete base backup"
        case .unknownBackup(let label): "backup \"\(label)\" does not exist"
        case .unknownTimeline(let timeline, _, _): "timeline \(timeline) is not in the archive"
        case .severalBranches(let branches):
            "cannot tell which of timelines \(branches.map(\.timeline.description).joined(separator: ", ")) to follow"
        case .backupTooLate(let backup): "cannot reach \(target.summary) from backup \"\(backup.label)\""
        case .unknownRestorePoint(let name, _): "restore point \"\(name)\" is not in the archive"
        case .unknownTransaction(let xid): "the end of transaction \(xid) is not in the archive"
        default: "cannot reach \(target.summary)"
        }
    }

    public var detail: String? {
        let sentence: String? =
            switch reason {
            case .noBackup, .unknownBackup: nil
            case .backupTooLate(let backup):
                "The backup ended at \(backup.stopTime) (LSN \(backup.stop)), after the target."
            case .beforeFirstBackup(let backup):
                "The oldest usable backup, \"\(backup.label)\", ended at \(backup.stopTime) (LSN \(backup.stop)), "
                    + "after the target."
            case .afterLast(let last, let end): afterLast(last, end)
            case .gap(let missing):
                "WAL " + missing.prefix(8).map(\.sentence).joined(separator: ", ")
                    + (missing.count > 8 ? ", and more." : ".")
            case .broken(let found): "\(capitalized(found.sentence)). \(found.reason)"
            case .lostHistory(let lost): "\(capitalized(lost.message)). \(lost.detail ?? "")"
            case .notAnAncestor(let timeline, let backups):
                "No backup is on the history of timeline \(timeline); there are backups of timeline "
                    + backups.map(\.description).joined(separator: ", ") + "."
            case .unknownTimeline(let timeline, _, let descendants) where !descendants.isEmpty:
                "Timeline \(descendants.map(\.description).joined(separator: ", ")) descends from timeline "
                    + "\(timeline), but neither a segment nor the history file of \(timeline) itself is there."
            case .unknownTimeline(_, let known, _):
                "The archive has timeline " + known.map(\.description).joined(separator: ", ") + "."
            case .severalBranches(let branches):
                branches.map(\.sentence).joined(separator: " ")
                    + " Nothing here shows which of them the cluster was on."
            case .neverConsistent(let passed): passed.map(\.sentence).joined(separator: " ")
            case .elsewhere(let whereabouts): elsewhere(whereabouts)
            case .timelineNotArchived(let timeline, let begin):
                "Timeline \(timeline) begins at LSN \(begin), but its first segment has not been archived yet; "
                    + "PostgreSQL would read the segment of the previous timeline instead."
            case .historyNotArchived(let timeline, _, isAside: true):
                "Timeline \(timeline), which the cluster is on, was put aside: a recovered server would not find its history file."
            case .historyNotArchived(let timeline, _, _):
                "Timeline history file \"\(timeline.fileNamePart).history\" is in the cluster's pg_wal, but missing or damaged in the "
                    + "archive: a recovered server would not find timeline \(timeline)."
            case .unknownRestorePoint(_, let similar):
                similar.isEmpty
                    ? "There is none since the oldest backup began."
                    : "There are: "
                        + similar.prefix(8).map { "\"\($0.name)\" at \($0.time)" }.joined(separator: ", ") + "."
            case .unknownTransaction:
                "Only transactions that ended after the oldest backup began, and that wrote something, can be targets."
            }
        let all = [sentence].compactMap { $0 } + remarks
        return all.isEmpty ? nil : all.joined(separator: " ")
    }

    public var hint: String? {
        switch reason {
        case .noBackup: return "Take one with \"\(runnable("tidemark backup"))\"."
        case .unknownBackup: return "\"\(runnable("tidemark list"))\" shows the backups there are."
        case .historyNotArchived(let timeline, _, isAside: true):
            return "Bring it back with \"\(runnable("tidemark segments put-back \(timeline.fileNamePart).history"))\"."
        case .historyNotArchived(let timeline, let directory, _):
            let path = "\(directory.map { $0 + "/" } ?? "")pg_wal/\(timeline.fileNamePart).history"
            return "Store it with \"\(runnable("tidemark archive-push \(shellQuoted(path))"))\""
                + (directory == nil ? " in the data directory." : ".")
        case .lostHistory(let lost) where lost.isDamaged: return lost.hint
        default: break
        }
        guard !nearest.isEmpty else {
            switch reason {
            case .unknownRestorePoint, .unknownTransaction:
                return "\"\(runnable("tidemark window"))\""
                    + " shows what can be reached, \"\(runnable("tidemark events"))\" what happened."
            default: return nil
            }
        }
        return "Reachable: "
            + nearest.map(\.sentence).joined(separator: "; ") + "."
    }

    private func elsewhere(_ found: Whereabouts) -> String {
        let subject = if case .xid = target.point { "It ended" } else { "It was written" }
        let place = "\(subject) at \(found.time) (LSN \(found.lsn), timeline \(found.timeline))"
        switch found.place {
        case .before(let backup):
            return place + ", before the end of the oldest usable backup, \"\(backup.label)\": "
                + "\(backup.stopTime) (LSN \(backup.stop))."
        case .off(let followed, let left?):
            return place + "; timeline \(followed), which is followed, left timeline \(found.timeline) at LSN "
                + "\(left), before it."
        case .off(let followed, nil):
            return place + "; timeline \(followed), which is followed, does not descend from timeline "
                + "\(found.timeline)."
        }
    }

    private func afterLast(_ last: TransactionMark?, _ end: LSN) -> String {
        guard let last else { return "The archive ends at LSN \(end) and contains no transaction after the backup." }
        let known =
            "The last transaction in the archive, \(last.xid), ended at \(last.time) (LSN \(last.lsn))"
        guard case .time(let time) = target.point else { return known + "; the archive ends at LSN \(end)." }
        if time <= last.time {
            return known + ", and PostgreSQL stops only at a later one."
        }
        return known + ", \(durationText(microseconds: time.microseconds - last.time.microseconds)) before the target."
    }
}

extension Branch {
    var sentence: String {
        let parting =
            parent.map { "left timeline \($0) at LSN \(begin), and" }
            ?? (timeline == TimelineID(1) ? "is the first one;" : "began on an unknown timeline;")
        return "Timeline \(timeline) \(parting) "
            + (last.map { "its last transaction is \($0.xid), \($0.time)" } ?? "it has no transaction")
            + (backup.map { "; backup \"\($0.label)\" was taken of it" + ($0.place.map { " in \"\($0)\"" } ?? "") }
                ?? "")
            + "."
    }
}

/// The sentence with a capital first letter.
public func capitalized(_ sentence: String) -> String { sentence.prefix(1).uppercased() + sentence.dropFirst() }

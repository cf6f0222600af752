public import Planning
import Recovery
public import TableRecovery
import WAL

/// A target as it is asked for, before the archive is looked at.
public struct TargetRequest: Sendable {
    public enum Point: Sendable {
        /// The target's own timeline doesn't count; the request's does.
        case target(RecoveryTarget)
        /// Just before these tables were dropped; all of one database.
        ///
        /// - isDatabaseMeant: where no drop of the tables is found, their database's drop is looked for.
        case beforeDrop(of: [TablePattern], isDatabaseMeant: Bool)
        /// Just before this database was dropped.
        case beforeDropOfDatabase(String)
        /// A moment between the oldest backup and the end of the archive, chosen at random.
        case anyMoment
    }
    public var point: Point
    public var timeline: RecoveryTarget.Timeline
    /// The label of the backup to start from; nil for the best one.
    public var backup: String?
    /// The incarnation by its folder's name; nil for the one that has the backup or the time.
    public var incarnation: String?
    /// Whether the incomplete last segment of a timeline (`.partial`) is replayed.
    public var usesPartials = false

    public init(
        _ point: Point, timeline: RecoveryTarget.Timeline = .own, backup: String? = nil, incarnation: String? = nil
    ) {
        (self.point, self.timeline, self.backup, self.incarnation) = (point, timeline, backup, incarnation)
    }

    /// The time that was asked for.
    var moment: Moment? {
        if case .target(let target) = point, case .time(let moment) = target.point { moment } else { nil }
    }

    /// The timeline's number that was asked for.
    var number: TimelineID? { if case .number(let number) = timeline { number } else { nil } }

    var isBeforeDrop: Bool {
        switch point {
        case .beforeDrop, .beforeDropOfDatabase: true
        case .target, .anyMoment: false
        }
    }
}

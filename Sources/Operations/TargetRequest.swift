public import Planning
import Recovery
public import TableRecovery
import WAL

/// A requested target, before the archive is read.
public struct TargetRequest: Sendable {
    public enum Point: Sendable {
        /// A target of PostgreSQL. Its own timeline is ignored; the request's counts.
        case target(RecoveryTarget)
        /// Just before these tables were dropped; all of one database. If no drop of the tables is found and
        /// `isDatabaseMeant` is set, just before their database was dropped.
        case beforeDrop(of: [TablePattern], isDatabaseMeant: Bool)
        /// Just before this database was dropped.
        case beforeDropOfDatabase(String)
        /// A random time between the oldest backup and the end of the archive.
        case anyMoment
    }
    public var point: Point
    public var timeline: RecoveryTarget.Timeline
    /// The backup to start from, as a word that `label(meantBy:)` understands; nil for the best one.
    public var backup: String?
    /// The incarnation by its folder's name; nil for the one that has the backup or the time.
    public var incarnation: String?
    /// Whether the incomplete last segment of a timeline (`.partial`) is replayed.
    public var usesPartials = false
    /// Whether WAL of the timeline that was put aside is read, if the timeline is named by its number.
    public var readsAside = true

    public init(
        _ point: Point, timeline: RecoveryTarget.Timeline = .own, backup: String? = nil, incarnation: String? = nil
    ) {
        (self.point, self.timeline, self.backup, self.incarnation) = (point, timeline, backup, incarnation)
    }

    /// The requested time.
    var moment: Moment? {
        if case .target(let target) = point, case .time(let moment) = target.point { moment } else { nil }
    }

    /// The requested timeline's number.
    var number: TimelineID? { if case .number(let number) = timeline { number } else { nil } }

    var isBeforeDrop: Bool {
        switch point {
        case .beforeDrop, .beforeDropOfDatabase: true
        case .target, .anyMoment: false
        }
    }
}

public import Catalog
public import Configuration
import Platform
public import Retention
public import WAL

/// Finds events in the cluster, and how to recover to just before them.
public struct EventsJob {
    private let cluster: ClusterConfiguration
    private let policy: RetentionPolicy
    private let context: JobContext

    /// - Parameter policy: decides which segments are missing on purpose.
    public init(of cluster: ClusterConfiguration, policy: RetentionPolicy, _ context: JobContext = JobContext()) {
        (self.cluster, self.policy, self.context) = (cluster, policy, context)
    }

    /// - Throws: what reading the repository throws.
    public func run(_ filter: EventFilter) throws -> EventsReport {
        let access = try CatalogAccess(of: cluster, context)
        let names = BackupNames(access, context)
        let (events, nameless, places) = try access.ask { catalog in
            let expired = try access.expired(by: policy)
            let gaps = try catalog.report(backups: access.spans, expired: expired).gaps
            let search = try EventSearch(catalog, names: names.names(at:))
            return (
                try search.events(filter, among: gaps), try search.nameless(filter),
                try ReachablePlaces(catalog, backups: access.spans, expired: expired)
            )
        }
        if let newest = nameless.first {
            let count = nameless.count
            context.note(
                .warning,
                count == 1
                    ? "1 drop or truncation is not shown, and may be this table's"
                    : "\(count) drops or truncations are not shown, and may be this table's",
                detail: "No backup's relation map knows the names; the newest is at LSN \(newest.lsn)"
                    + (newest.time.map { ", \($0)." } ?? "."),
                hint: "Without --table, they are shown with their OIDs.")
        }
        return EventsReport(
            events: events, limit: filter.limit, lost: try access.lostHistories(),
            isContradicted: access.contradiction() != nil, places: places)
    }
}

/// Events, newest first.
public struct EventsReport {
    public let events: [Event]
    /// The requested number; gaps don't count.
    public let limit: Int
    /// Timelines whose histories are missing or damaged.
    public let lost: [LostHistory]
    /// Whether the cluster's own server has other WAL than some of the archive's.
    public let isContradicted: Bool
    fileprivate let places: ReachablePlaces

    /// Whether nothing is missing in the time that is shown.
    public var isWhole: Bool { lost.isEmpty && !isContradicted && !events.contains { $0.kind == .gap } }
    /// Whether there may be more of them.
    public var isFull: Bool { events.count { $0.kind != .gap } == limit }

    /// How to recover to just before an event, or to a restore point.
    public enum Way {
        /// The target, and the timeline to follow if not all lead there.
        case recovery(Event.Target, timeline: TimelineID?)
        case none(PlaceObstacle)
    }

    /// Nil when there is nothing to recover.
    public func way(to event: Event) -> Way? {
        guard let target = event.target else { return nil }
        let position =
            switch target {
            case .before(let lsn): lsn
            case .restorePoint: event.lsn
            }
        do throws(ReachablePlaces.Unreached) {
            return .recovery(target, timeline: try places.timeline(to: position, on: event.timeline))
        } catch { return .none(error.obstacle) }
    }
}

import BaseBackup
public import Platform
public import Repository
public import WAL

/// The right to what a plan reads: until the object goes, or its process, `expire` leaves the plan's backup alone and all WAL
/// since that backup began.
public final class PlanLease: Sendable {
    private let backup: BackupLease

    /// - Throws: `NoSuchBackup`, `PlanOutdated`.
    public init(_ plan: Plan, of incarnation: Incarnation, in store: any ObjectStore) throws {
        backup = try BackupLease(plan.backup.label, of: incarnation, in: store)
        // What went between the planning and now doesn't come back.
        let partials = Set(plan.partials)
        for name in plan.segmentNames where !partials.contains(name) {
            if try store.size(of: incarnation.segment(name)) == nil { throw PlanOutdated(segment: name) }
        }
    }
}

/// Something that the plan needs has been removed since it was made.
public struct PlanOutdated: Explained, Equatable {
    public let segment: SegmentName
    public var message: String { "the plan can no longer be carried out: segment \"\(segment)\" has been removed" }
    public var detail: String? { "It was in the repository when the plan was made. Nothing has been touched." }
    public var hint: String? { "Run the command again for a plan from what is there now." }
}

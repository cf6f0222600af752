public import Platform
public import Repository
public import WAL

/// The base backups of one incarnation.
public struct BackupListing: Sendable {
    /// In order of their start position, then of their start time.
    public var complete: [BackupDescription]
    /// Complete ones in the same order whose branch of the WAL was put aside since: they can't be recovered.
    public var aside: [AsideBackup]
    /// Why more of them may be on such a branch.
    public var unlistedAside: [UnlistedAside] = []
    /// Complete ones whose `backup.json` nothing protects any more.
    public var unsealed: [UnsealedBackup] = []
    /// Labels without `backup.json`: still running, or died.
    public var incomplete: [String]
    /// Complete ones that can't be parsed, with the reason.
    public var unreadable: [Unreadable]

    public struct Unreadable: Sendable {
        public let label: String
        public let reason: DamagedDescription
    }

    public init(
        complete: [BackupDescription], aside: [AsideBackup] = [], incomplete: [String], unreadable: [Unreadable]
    ) {
        (self.complete, self.aside, self.incomplete, self.unreadable) = (complete, aside, incomplete, unreadable)
    }

    /// Called before something is removed because other backups are usable.
    /// - Throws: `UnlistedAside` when that isn't known of each.
    public func confirmUsable() throws { if let first = unlistedAside.first { throw first } }

    /// The usable ones and those put aside, in order.
    public var all: [BackupDescription] { BackupListing.sorted(complete + aside.map(\.backup)) }

    /// The last usable one in the order of the WAL: a timeline comes after all its possible ancestors. Clocks don't
    /// matter.
    public var newest: BackupDescription? {
        complete.max { ($0.timeline, $0.stopLSN) < ($1.timeline, $1.stopLSN) }
    }

    static func sorted(_ backups: [BackupDescription]) -> [BackupDescription] {
        backups.sorted { ($0.startLSN, $0.startTime) < ($1.startLSN, $1.startTime) }
    }

    /// Counts the backups of a timeline that was put aside as complete again, for a reader of that WAL.
    public mutating func restore(_ timeline: TimelineID) {
        complete = BackupListing.sorted(complete + aside.map(\.backup).filter { $0.timeline == timeline })
        aside.removeAll { $0.backup.timeline == timeline }
    }

    public func backup(_ label: String) -> BackupDescription? { complete.first { $0.label == label } }
}

extension ClusterArchive {
    /// Reads every `backup.json` of an incarnation, but neither manifests nor packs.
    /// - Parameter locked: whether the caller has the `BackupLock`: no other process completes or removes a backup.
    public func listBackups(locked: Bool = false) throws -> BackupListing {
        var listing = BackupListing(complete: [], incomplete: [], unreadable: [])
        for label in try backups() {
            var described: BackupDescription?
            do {
                let sealed = try BackupSeal.read(label, of: self)
                if let bytes = sealed.description { described = try BackupDescription(stored: bytes, label: label) }
                if let objection = sealed.objection { throw objection }
                if let missing = sealed.missing { listing.unsealed.append(missing) }
            } catch let objection as DamagedDescription {
                listing.unreadable.append(.init(label: label, reason: objection))
                continue
            } catch let failure as any Explained
                where failure is SystemError || failure is UnreachableObject || failure is NotAnObject
                || failure is ObjectDamaged
            {
                // One that can't be read doesn't hide the others.
                let isUnread = failure is SystemError || failure is UnreachableObject
                let fault: DocumentFault =
                    isUnread ? .unread("\(failure.message).") : .impossible("\(failure.message).")
                let reason = DamagedDescription(label: label, fault: fault)
                listing.unreadable.append(.init(label: label, reason: reason))
                continue
            }
            if let described { listing.complete.append(described) } else { listing.incomplete.append(label) }
        }
        if !locked { listing.unsealed = try lasting(listing.unsealed) }
        // A backup that died before its manifest has only packs, and so has an expired one whose packs others need.
        let known = Set(
            listing.complete.flatMap { [$0.label] + $0.packs.map(\.label) } + listing.incomplete
                + listing.unreadable.map(\.label))
        listing.incomplete += try store.list(incarnation.packFolder).filter(\.isFolder).map(\.name)
            .filter { !known.contains($0) }
        (listing.complete, listing.aside, listing.unlistedAside) = try withoutAside(
            BackupListing.sorted(listing.complete), of: self)
        return listing
    }

    /// Those that are still without a seal when nobody completes or removes a backup.
    private func lasting(_ unsealed: [UnsealedBackup]) throws -> [UnsealedBackup] {
        // Where the lock can't be looked at, the answer is a remark too many.
        guard !unsealed.isEmpty, (try? BackupLock.isHeld(self)) != true else { return [] }
        return try unsealed.filter { try BackupSeal.read($0.label, of: self).missing != nil }
    }

    /// What one complete backup lacks; nil when it has its seal.
    public func lacksSeal(_ label: String) throws -> UnsealedBackup? {
        guard RepositoryKey.isPart(label) else { return nil }
        return try lasting([BackupSeal.read(label, of: self).missing].compactMap(\.self)).first
    }

    /// One complete backup.
    /// - Throws: `NoSuchBackup`, `DamagedDescription`, and what the store throws.
    public func backup(_ label: String) throws -> BackupDescription {
        let unknown = NoSuchBackup(label: label, cluster: incarnation.cluster)
        guard RepositoryKey.isPart(label) else { throw unknown }
        let sealed = try BackupSeal.read(label, of: self)
        let backup = try sealed.description.map { try BackupDescription(stored: $0, label: label) }
        if let objection = sealed.objection { throw objection }
        guard let backup else { throw unknown }
        return backup
    }
}

public struct NoSuchBackup: Explained, Equatable {
    public let label: String
    public let cluster: String
    public init(label: String, cluster: String) { (self.label, self.cluster) = (label, cluster) }
    public var message: String { "cluster \"\(cluster)\" has no complete backup \"\(label)\"" }
    public var hint: String? { "\"\(runnable("tidemark list"))\" shows the backups." }
}

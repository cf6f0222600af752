import DataDirectory
import Platform
public import Repository
public import WAL

/// The incarnations of a cluster, of which one is in use. initdb and pg_upgrade each begin another; what was before stays
/// where it was, and can be recovered by the programs of its own version.
public struct ClusterIncarnations {
    /// By major version and system identifier; never empty.
    public let all: [Incarnation]
    /// The data directory's or, when that tells nothing, the one whose newest backup ended last.
    public let current: Incarnation
    /// Whether the data directory says which one is in use.
    public let isKnown: Bool
    let store: any ObjectStore

    /// - Returns: nil when the repository holds none of this cluster.
    /// - Parameter dataDirectory: the configured one; it may be gone.
    public init?(of cluster: String, dataDirectory: String, in store: any ObjectStore) throws {
        all = try store.incarnations(of: cluster)
        guard let last = all.last else { return nil }
        self.store = store
        let directory = DataDirectory(dataDirectory)
        if let control = try? directory.controlFile(), let major = try? directory.majorVersion(),
            let own = all.first(where: { $0.systemIdentifier == control.systemIdentifier && $0.major == major })
        {
            (current, isKnown) = (own, true)
        } else if all.count == 1 {
            (current, isKnown) = (last, false)
        } else {
            let newest = all.map { ($0, (try? ClusterIncarnations.stops(of: $0, in: store))?.last) }
            current = newest.max { ($0.1?.microseconds ?? .min) < ($1.1?.microseconds ?? .min) }?.0 ?? last
            isKnown = false
        }
    }

    /// The incarnation with this folder's name.
    public func named(_ name: String) throws -> Incarnation {
        guard let found = all.first(where: { $0.folderName == name }) else {
            throw Problem(
                "cluster \"\(current.cluster)\" has no incarnation \"\(name)\"",
                detail: "The repository holds \(all.map(\.folderName).joined(separator: ", ")).")
        }
        return found
    }

    /// The incarnation that has this backup; the current one when none has.
    public func holding(_ label: String) throws -> Incarnation {
        guard RepositoryKey.isPart(label) else { return current }
        if try store.exists(current.backup(label, "backup.json")) { return current }
        // One that can't be looked into may have it, and is no use.
        return former.first { (try? store.exists($0.backup(label, "backup.json"))) == true } ?? current
    }

    /// The incarnation that a moment belongs to: the current one, unless its oldest backup ended later and another one has
    /// a backup that didn't. Of several, the one that was begun last.
    public func holding(_ moment: Moment) throws -> Incarnation {
        func first(_ incarnation: Incarnation) throws -> Moment? {
            try ClusterIncarnations.stops(of: incarnation, in: store).first
        }
        if all.count == 1 { return current }
        if let own = try first(current), own <= moment { return current }
        let others = former.compactMap { other in ((try? first(other)) ?? nil).map { (other, $0) } }
        return others.filter { $0.1 <= moment }.max { $0.1 < $1.1 }?.0 ?? current
    }

    /// When the complete backups ended, in order.
    private static func stops(of incarnation: Incarnation, in store: any ObjectStore) throws -> [Moment] {
        try listBackups(of: incarnation, in: store).complete.map(\.stopTime).sorted()
    }
}

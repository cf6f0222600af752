/// A repository: a store, and the clusters in it. `ClusterConfiguration.openRepository()` (Archiving) opens the
/// configured one.
///
/// While one is open, all stores that this process opens at the same path use the same directories
/// (`HeldIncarnations`), whatever is mounted there by then.
public final class Repository: Sendable {
    public let store: any ObjectStore

    public init(_ store: any ObjectStore) { self.store = store }

    /// Its name in messages: a directory's path, a bucket's address.
    public var location: String { store.location }

    /// See `ObjectStore`.
    public var localDirectory: LocalDirectory? { store.localDirectory }

    /// One incarnation's part of it, which need not be there. Nothing is touched.
    public func archive(_ incarnation: Incarnation) -> ClusterArchive { ClusterArchive(incarnation, in: store) }
}

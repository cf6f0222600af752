public import Platform
public import Repository

/// Another process is putting WAL of this cluster aside, or back.
public struct AsideInProgress: Explained, Equatable {
    public let cluster: String
    /// The other process, where the store can tell.
    public var owner: LockOwner?
    public var message: String { "another process puts WAL of cluster \"\(cluster)\" aside or back" }
    public var detail: String? {
        owner.map { "\($0) holds the lock of what was put aside; the lock ends with that process." }
            ?? "It holds the lock of what was put aside; the lock ends with that process."
    }
    public var hint: String? { "Wait for it to finish, or end it, then try again." }
}

/// An object that was to be moved is gone, or another one is in its place.
public struct AsideChanged: Explained, Equatable {
    public let name: String
    public var message: String { "nothing was moved: \"\(name)\" has changed in the meantime" }
    public var detail: String? { "Objects of this name were added or removed after they were shown." }
    public var hint: String? { "Run the command again, to see what is there now." }
}

/// The right to put WAL of an incarnation aside or back: one process at a time. While it is held, an intact object
/// stays under its name, since a server can archive only under free names or in place of a damaged object; while an
/// object is moved, the store prevents that, too (`ObjectStore.move`).
final class AsideLock {
    private let lock: any StoreLock

    /// - Throws: `AsideInProgress` when somebody else holds it.
    init(_ archive: ClusterArchive) throws {
        switch try archive.store.lock(
            "lock", in: archive.incarnation.asideFolder, isShared: false, patience: 1000, makesFolder: true)
        {
        case .taken(let lock): self.lock = lock
        case .refused(let owner): throw AsideInProgress(cluster: archive.incarnation.cluster, owner: owner)
        case .impossible(let error): throw error
        }
    }

    /// Called before an object is moved.
    /// - Throws: `LockLost`.
    func confirm() throws { try lock.confirm() }
}

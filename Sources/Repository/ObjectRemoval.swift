/// Removes objects and folders from a store. What is removed is what was listed: a store in which a name can come to
/// lead elsewhere holds the folders from before the listing (`hold`), and looks each name up from there.
public protocol ObjectRemoval {
    /// Holds a folder before it is listed for removal. Does nothing if it isn't there.
    mutating func hold(_ folder: RepositoryKey) throws

    /// Removes an object, durably; it need not be there.
    func remove(_ key: RepositoryKey) throws

    /// Removes objects in this order, each durably before the next: an interruption leaves a last part of them.
    /// - Parameter failed: gets the index and the error of each object that could not be removed; the others are
    ///   removed.
    func remove(_ keys: [RepositoryKey], failed: (_ index: Int, any Error) -> Void)

    /// Removes a folder and everything below it, including leftovers of killed processes and locks.
    func removeAll(in folder: RepositoryKey) throws

    /// Called before a folder's first object is removed.
    /// - Throws: `BehindLink` where the folder is elsewhere, reached by a link: nothing is removed there.
    func refuseLink(at folder: RepositoryKey) throws

    /// Removes an empty folder, in a store in which folders exist by themselves.
    func removeIfEmpty(_ folder: RepositoryKey)
}

extension ObjectRemoval {
    /// For a store without links.
    public func refuseLink(at folder: RepositoryKey) throws {}

    public func remove(_ keys: [RepositoryKey], failed: (_ index: Int, any Error) -> Void) {
        for (index, key) in keys.enumerated() {
            do { try remove(key) } catch { failed(index, error) }
        }
    }
}

/// For a store in which a name always means the same object.
public struct RemovalByName: ObjectRemoval {
    private let store: any ObjectStore

    public init(from store: any ObjectStore) { self.store = store }

    public func hold(_ folder: RepositoryKey) {}
    public func remove(_ key: RepositoryKey) throws { try store.remove(key) }
    public func removeAll(in folder: RepositoryKey) throws {
        for entry in try store.list(folder) {
            let key = folder.appending(entry.name)
            if entry.isFolder { try removeAll(in: key) } else { try store.remove(key) }
        }
        _ = try store.removeLeftovers(in: folder)
    }
    public func removeIfEmpty(_ folder: RepositoryKey) {}
}

/// Calls `confirm` before each step, since a lock can be lost (`StoreLock.confirm`).
public struct ConfirmedRemoval: ObjectRemoval {
    private var base: any ObjectRemoval
    private let confirm: () throws -> Void

    public init(_ base: any ObjectRemoval, confirm: @escaping () throws -> Void) {
        (self.base, self.confirm) = (base, confirm)
    }

    public mutating func hold(_ folder: RepositoryKey) throws { try base.hold(folder) }
    public func refuseLink(at folder: RepositoryKey) throws { try base.refuseLink(at: folder) }

    public func remove(_ key: RepositoryKey) throws {
        try confirm()
        try base.remove(key)
    }

    /// Confirms again after as many objects as a store removes in a moment.
    public func remove(_ keys: [RepositoryKey], failed: (_ index: Int, any Error) -> Void) {
        var start = 0
        while start < keys.count {
            let end = min(keys.count, start + 1000)
            do {
                try confirm()
                base.remove(Array(keys[start..<end])) { failed(start + $0, $1) }
            } catch { for index in start..<end { failed(index, error) } }
            start = end
        }
    }

    public func removeAll(in folder: RepositoryKey) throws {
        try confirm()
        try base.removeAll(in: folder)
    }

    public func removeIfEmpty(_ folder: RepositoryKey) {
        guard (try? confirm()) != nil else { return }
        base.removeIfEmpty(folder)
    }
}

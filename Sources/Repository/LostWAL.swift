public import Messages

/// A complete backup is in the repository, but no WAL at all, although every backup needs some.
public struct WALMissing: Explained, Equatable {
    public let folder: RepositoryKey
    public let location: String
    public var message: String { "the WAL of repository \"\(location)\" cannot be found" }
    public var detail: String? { "Folder \"\(folder)\" is empty, although the repository has backups." }
    public var hint: String? {
        "Is the file system that holds it mounted? If the WAL is really lost, store the next segment by hand with "
            + "\"\(runnable("tidemark archive-push --accept-discontinuity PATH"))\" and take a new base backup."
    }
    public var isTransient: Bool { true }
}

extension ClusterArchive {
    /// Makes sure that an object is absent from the WAL, and not all of the WAL with it: its folder may be a mount
    /// point whose file system isn't mounted. All of it may have been put aside, too.
    /// - Throws: `WALMissing`.
    public func requireWAL() throws {
        guard try store.list(incarnation.walFolder).isEmpty, try store.list(incarnation.asideFolder).isEmpty else {
            return
        }
        for entry in try store.list(incarnation.backupFolder) where entry.isFolder {
            guard try store.size(of: incarnation.backupDescription(entry.name)) != nil else { continue }
            throw WALMissing(folder: incarnation.walFolder, location: store.location)
        }
    }
}

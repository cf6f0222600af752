public import Messages
import WAL

/// A complete backup is in the repository, but no WAL at all, although every backup needs some.
public struct WALMissing: Explained, Equatable {
    public let folder: RepositoryKey
    public let location: String
    public var message: String { "the WAL of repository \"\(location)\" cannot be found" }
    public var detail: String? { "Folder \"\(folder)\" is empty, although the repository has backups." }
    public var hint: String? {
        "\(doubt), store the next segment by hand with "
            + "\"\(runnable("tidemark archive-push --accept-discontinuity PATH"))\" and take a new base backup."
    }
    /// What precedes what to do without it, in a sentence.
    public var doubt: String { "Is the file system that holds it mounted? If the WAL is really lost" }
    public var isTransient: Bool { true }
}

extension ClusterArchive {
    /// Makes sure that an object is absent from the WAL, and not all of the WAL with it: its folder may be a mount
    /// point whose file system isn't mounted. A backup's WAL may have been put aside, too.
    /// - Throws: `WALMissing`.
    public func requireWAL() throws {
        guard try store.list(incarnation.walFolder).isEmpty else { return }
        var aside: Set<String>?
        for entry in try store.list(incarnation.backupFolder) where entry.isFolder {
            let key = incarnation.backupDescription(entry.name)
            guard try store.size(of: key) != nil else { continue }
            let names = try aside ?? segmentsAside()
            aside = names
            if try names.isEmpty || !isAside(key, names) {
                throw WALMissing(folder: incarnation.walFolder, location: store.location)
            }
        }
    }

    /// What `requireWAL` throws; nil when it throws nothing, or when that isn't known.
    public func missingWAL() -> WALMissing? {
        do { try requireWAL() } catch { return error as? WALMissing }
        return nil
    }

    /// The size of the cluster's segments, as its backups have recorded it; nil when no backup can be read.
    public func segmentSizeOfBackups() throws -> UInt32? {
        for entry in try store.list(incarnation.backupFolder).reversed() where entry.isFolder {
            let key = incarnation.backupDescription(entry.name)
            guard let size = (try? store.document(.backup, at: key))?.number("segment_size"),
                let size = UInt32(exactly: size), SegmentName.exists(segmentSize: size)
            else { continue }
            return size
        }
        return nil
    }

    private func segmentsAside() throws -> Set<String> {
        var names: Set<String> = []
        for folder in try asideFolders() {
            for object in try objects(of: folder) {
                if case .segment(let name) = object.file { names.insert(name.description) }
            }
        }
        return names
    }

    /// Whether a backup's first segment is among those that were put aside; of one that can't be read it may be.
    private func isAside(_ description: RepositoryKey, _ names: Set<String>) throws -> Bool {
        do {
            guard let document = try store.document(.backup, at: description) else { return true }
            return document.string("start_segment").map(names.contains) ?? false
        } catch is DocumentRefused { return true }
    }
}

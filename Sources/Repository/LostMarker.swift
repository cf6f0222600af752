import Messages
public import Platform

/// An incarnation's folder holds objects, and no `incarnation.json`. Another one would make them look complete, though
/// the storage that lost the document may have lost more, or not be there as a whole.
public struct LostMarker: Explained, Equatable {
    public let incarnation: Incarnation
    public let location: String
    /// One of the objects.
    public let example: RepositoryKey
    public var message: String { "\"\(incarnation.marker)\" is missing in repository \"\(location)\"" }
    public var detail: String? {
        "Its folder is not empty: it has \"\(example)\". Without the document it is not known whether the rest is complete."
    }
    /// `ObjectStore.absenceHint`.
    public let check: String?
    public var hint: String? {
        (check.map { $0 + " " } ?? "") + "Restore the document from a copy of the repository, or, "
            + "if nothing else is missing, write it anew with \"\(runnable("tidemark init --rebuild"))\"."
    }
    public var isTransient: Bool { true }
}

extension ClusterArchive {
    /// What is left of an incarnation whose marker isn't there: nil where the marker is, and where no object is either,
    /// as after an `init` that was killed. Folders without objects are nothing, and neither is what isn't tidemark's.
    public func lostMarker() throws -> LostMarker? {
        // The marker may have come since the folder was listed.
        guard let example = try remains(), try !exists() else { return nil }
        return LostMarker(
            incarnation: incarnation, location: store.location, example: example, check: store.absenceHint)
    }

    /// An object in one of the folders in which tidemark keeps some, the most telling ones first.
    private func remains() throws -> RepositoryKey? {
        for folder in [
            incarnation.backupFolder, incarnation.walFolder, incarnation.packFolder, incarnation.asideFolder,
            incarnation.recoveryFolder, incarnation.jobFolder,
        ] {
            if let found = try firstObject(in: folder, depth: 4) { return found }
        }
        return nil
    }

    private func firstObject(in folder: RepositoryKey, depth: Int) throws -> RepositoryKey? {
        let entries = try store.list(folder)
        if let object = entries.first(where: { !$0.isFolder }) { return folder.appending(object.name) }
        guard depth > 0 else { return nil }
        for entry in entries {
            if let found = try firstObject(in: folder.appending(entry.name), depth: depth - 1) { return found }
        }
        return nil
    }

    /// Refuses a folder that another version of tidemark wrote in.
    /// - Throws: `DocumentRefused`, and what the store throws.
    public func refuseOtherFormats() throws {
        for label in try backups() {
            do { _ = try store.document(.backup, at: incarnation.backupDescription(label)) } catch let refused
                as DocumentRefused where !refused.fault.isOfAnotherFormat
            {}
        }
        var other: DocumentRefused?
        proveRecords { error in
            if let refused = error as? DocumentRefused, refused.fault.isOfAnotherFormat { other = other ?? refused }
        }
        if let other { throw other }
    }
}

extension Repository {
    /// The folders of a cluster's incarnations that have lost their marker.
    public func lostMarkers(of cluster: String) throws -> [LostMarker] {
        let known = Set(try incarnations(of: cluster))
        return try store.list(RepositoryKey.root.appending(cluster)).filter(\.isFolder)
            .compactMap { Incarnation(cluster: cluster, folderName: $0.name) }
            .filter { !known.contains($0) }
            .compactMap { try archive($0).lostMarker() }
    }
}

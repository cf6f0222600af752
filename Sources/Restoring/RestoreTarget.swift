public import Backups
import DataDirectory
import Glibc
import Platform

/// The directories into which a restore writes: checked, prepared, and finally made durable.
struct RestoreTarget {
    let path: String
    let request: RestoreRequest
    let backup: BackupDescription
    /// New places of tablespaces, by OID.
    let tablespaces: [UInt32: String]
    /// Whether it already has files of this cluster.
    let isDelta: Bool
    /// The directory that was checked; nil when there was none.
    private let seen: HeldDirectory?

    /// Marks a restore under way: until it has ended, the directory is not a cluster.
    fileprivate static let markerName = "tidemark.restoring"

    /// Only checks.
    ///
    /// - Throws: `TargetInUse`.
    init(_ request: RestoreRequest, _ backup: BackupDescription) throws {
        path = DataDirectory(request.target).path
        self.request = request
        self.backup = backup
        let places = try RestoreTarget.places(of: backup, request)
        tablespaces = places
        func inUse(_ path: String, _ reason: String, _ advice: String?) -> TargetInUse {
            TargetInUse(path: path, reason: reason, advice: advice)
        }
        guard let status = try FileStatus(ifPresent: path) else {
            (isDelta, seen) = (false, nil)
            try RestoreTarget.checkTablespaces(places, backup, target: path, living: request.living)
            return
        }
        guard status.kind == .directory else { throw inUse(path, "It is not a directory.", nil) }
        seen = try HeldDirectory(confining: path)
        try refuseIfInUse(path)
        guard try !holdsNothing(path) else {
            isDelta = false
            try RestoreTarget.checkTablespaces(places, backup, target: path, living: request.living)
            return
        }
        let isOurs = try RestoreTarget.belongs(path, to: backup)
        // An unfinished restore of the same backup is continued.
        if !request.delta && !isOurs.unfinished {
            throw inUse(
                path, "It is not empty.",
                isOurs.cluster
                    ? "Name another directory, or use --delta to bring this copy of the cluster to the backup's state."
                    : "Name an empty directory or one that does not exist yet.")
        }
        guard isOurs.cluster || isOurs.unfinished else {
            throw inUse(
                path, "It contains something other than this cluster (system identifier \(backup.systemIdentifier)).",
                "A delta restore removes what the backup does not have, so it needs a copy of the same cluster.")
        }
        isDelta = true
        try RestoreTarget.checkTablespaces(places, backup, target: path, living: request.living)
    }

    /// The place of each tablespace.
    fileprivate static func places(of backup: BackupDescription, _ request: RestoreRequest) throws -> [UInt32: String] {
        var places: [UInt32: String] = [:]
        let known = Set(backup.tablespaces.map(\.location))
        if let stranger = request.tablespaceMapping.keys.sorted().first(where: { !known.contains($0) }) {
            throw Problem(
                "backup \"\(backup.label)\" has no tablespace in \"\(stranger)\"",
                detail: known.isEmpty ? "It has none at all." : "It has \(known.sorted().joined(separator: ", ")).")
        }
        for tablespace in backup.tablespaces {
            let place = request.tablespaceMapping[tablespace.location] ?? tablespace.location
            guard place.hasPrefix("/") else {
                throw Problem("tablespace directory \"\(place)\" is not an absolute path")
            }
            places[tablespace.oid] = place
        }
        return places
    }

    private static func belongs(_ path: String, to backup: BackupDescription) throws
        -> (cluster: Bool, unfinished: Bool)
    {
        let marker = path + "/" + markerName
        if try Files.exists(marker) {
            let text = try Files.readText(marker, limit: 4096)
            let isOurs = text.contains("\n\(backup.systemIdentifier)\n")
            // Backups of two clusters may have the same label.
            return (isOurs, isOurs && text.hasPrefix("\(backup.label)\n"))
        }
        guard let control = try? ControlFile(dataDirectory: path) else { return (false, false) }
        return (control.systemIdentifier == backup.systemIdentifier, false)
    }

    /// A tablespace's folder must be empty, or be linked from this very copy: another server's, perhaps a running
    /// one's, must not be overwritten.
    fileprivate static func checkTablespaces(
        _ places: [UInt32: String], _ backup: BackupDescription, target: String, living: String?
    ) throws {
        let folder = DataDirectory.tablespaceFolder(major: backup.major, catalogVersion: backup.catalogVersion)
        let links = try DataDirectory(target).tablespaces()
        let others = try RestoreTarget.others(than: target, living: living, backup)
        for (oid, place) in places {
            let original = backup.tablespaces.first { $0.oid == oid }?.location ?? place
            let elsewhere =
                "Send the tablespace elsewhere with --tablespace-mapping \(TablespaceMapping.offered(original))."
            if links.contains(where: { $0.oid == oid && $0.location == place }) {
                // A copy made by hand shares its links with the original.
                for other in others where try other.hasTablespace(in: place) {
                    throw TargetInUse(
                        path: place, reason: "Data directory \"\(other.path)\" has a tablespace there.",
                        advice: elsewhere)
                }
                continue
            }
            if try FileStatus(ofLinkItself: place + "/" + folder)?.kind == .symbolicLink {
                throw TargetInUse(
                    path: place, reason: "\"\(folder)\" in it is a symbolic link, and leads elsewhere.",
                    advice: "Remove the link.")
            }
            if try !Files.listIfPresent(place + "/" + folder).isEmpty {
                throw TargetInUse(
                    path: place, reason: "It already holds a tablespace of this version, in \"\(folder)\".",
                    advice: elsewhere)
            }
        }
    }

    /// What is mounted in the directory and may be shared with others, as paths relative to it: everything but
    /// PostgreSQL's own directories, which may be on a disk of their own.
    func foreignMounts() throws -> [String] {
        guard isDelta else { return [] }
        return try MountTable().points(below: Files.resolved(path)).filter {
            try !NamedExclusions.isServers($0) || FileStatus(ifPresent: path + "/" + $0)?.kind != .directory
        }
    }

    /// Data directories that may share what a link leads to: the cluster's own, and those of running servers.
    static func others(
        than target: String, living: String?, _ backup: BackupDescription
    ) throws -> [DataDirectory] {
        let own = try FileStatus(ifPresent: target)
        let served = try DirectoryProcesses.servedDirectories().sorted()
        // The directory that the target is a copy of, perhaps, and that is still there.
        let origin =
            backup.settings[BackupDescription.host] == hostName()
            ? backup.settings[BackupDescription.resolvedDirectory] : nil
        return ([living, origin].compactMap(\.self) + served).filter { path in
            // Another user's can't be looked into.
            guard let status = try? FileStatus(ifPresent: path) else { return path == living }
            return own.map { !status.isSame(as: $0) } ?? true
        }.map(DataDirectory.init)
    }

    /// Makes all directories and links, removes extra files, and marks the directory as unfinished.
    ///
    /// - Returns: where the files go, and what became of extra files.
    func prepare(_ part: RestorePart, _ manifest: ManifestReader) throws -> (RestorePlaces, ExtraFiles.Removal) {
        var places = RestorePlaces(try root())
        var removed = ExtraFiles.Removal()
        if !request.isThrowaway || isDelta {
            _ = try removeStaleTemporaries(in: places(""))
            try replaceDurably(
                places(RestoreTarget.markerName), bytes: Array("\(backup.label)\n\(backup.systemIdentifier)\n".utf8),
                mode: 0o600)
            if isDelta {
                try Files.removeIfPresent(places(ControlFile.path))
                try Files.synchronizeDirectory(places(""))
                removed = try ExtraFiles(self, part, manifest).remove(&places)
            }
        }
        try prepareDirectories(part, manifest, &places)
        return (places, removed)
    }

    /// The directory that was checked, or a new one.
    private func root() throws -> HeldDirectory {
        if seen == nil { try Files.makeDirectories(path, mode: 0o700) }
        let root = try seen ?? HeldDirectory(confining: path)
        let isSame = try FileStatus(ifPresent: path)?.isSame(as: root.status()) == true
        let isEmpty = try seen != nil || Files.list(Place(".", in: root)).allSatisfy { $0 == "lost+found" }
        guard isSame && isEmpty else {
            throw TargetInUse(
                path: path, reason: "Something else has been put in its place in the meantime.", advice: nil)
        }
        return root
    }

    private func prepareDirectories(
        _ part: RestorePart, _ manifest: ManifestReader, _ places: inout RestorePlaces
    ) throws {
        try manifest.forEachFile(.directories) { _, file in
            guard part.treatment(of: file.path, size: file.size) != .absent else { return }
            switch file.kind {
            case .regular: return
            case .directory: try makeDirectory(places(file.path), mode: file.restoredMode)
            case .tablespace:
                guard let oid = UInt32(Files.name(file.path)), let target = tablespaces[oid] else {
                    throw Problem("backup \"\(backup.label)\" does not say where \"\(file.path)\" belongs")
                }
                try Files.makeDirectories(target, mode: file.restoredMode)
                let directory = try HeldDirectory(confining: target)
                try Files.changeMode(ofDirectory: Place(".", in: directory), file.restoredMode)
                places.link(file.path, to: directory)
                let link = places.entry(file.path)
                if try FileStatus(ofLinkItself: link) != nil {
                    if try Files.readLink(link) == target { return }
                    try Files.remove(link)
                }
                try Files.makeLink(link, to: target)
            }
        }
    }

    /// What is there already under that name is a directory: `ExtraFiles` has taken the others away.
    private func makeDirectory(_ place: Place, mode: mode_t) throws {
        do throws(SystemError) { try Files.makeDirectory(place, mode: mode) } catch {
            guard error.code == ENOENT else { throw error }
            try Files.makeDirectories(place, mode: mode)
        }
        try Files.changeMode(ofDirectory: place, mode)
    }

    /// Makes everything written so far durable.
    func synchronize() throws {
        for place in [path] + tablespaces.values.sorted() { try Files.synchronizeFileSystem(of: place) }
    }

    static func isMarker(_ name: String) -> Bool { name == markerName }
}

extension DataDirectory {
    fileprivate func hasTablespace(in place: String) throws -> Bool {
        guard let status = try FileStatus(ifPresent: place) else { return false }
        return try tablespaces().contains {
            try !$0.isInPlace && FileStatus(ifPresent: $0.location)?.isSame(as: status) == true
        }
    }
}

/// Whether a directory has an unfinished restore: `completeRestore` was not called.
public func isUnfinishedRestore(_ directory: String) throws -> Bool {
    try Files.exists(directory + "/" + RestoreTarget.markerName)
}

/// Marks a restored directory as a cluster: the restore can't be continued any more.
public func completeRestore(_ directory: String) throws {
    guard try isUnfinishedRestore(directory) else { return }
    try Files.remove(directory + "/" + RestoreTarget.markerName)
    try Files.synchronizeDirectory(directory)
}

/// Refuses a data directory whose tablespaces are another one's as well, as in a copy made by hand: they would be
/// renamed with it.
///
/// - Parameters:
///   - living: the cluster's own data directory, if this is another one.
///   - backup: taken of the cluster.
/// - Throws: `TargetInUse`.
public func refuseSharedTablespaces(of directory: String, living: String?, _ backup: BackupDescription) throws {
    let others = try RestoreTarget.others(than: directory, living: living, backup)
    for link in try DataDirectory(directory).tablespaces() where !link.isInPlace {
        for other in others where try other.hasTablespace(in: link.location) {
            let path = "\(directory)/pg_tblspc/\(link.oid)"
            throw TargetInUse(
                path: link.location, reason: "Data directory \"\(other.path)\" has a tablespace there, too.",
                advice: "If \"\(directory)\" is a copy of it, remove its link: rm \(shellQuoted(path))")
        }
    }
}

/// Where a restore would put the backup's tablespaces, by OID; only checks.
///
/// - Throws: `Problem` for a mapping of a tablespace that the backup doesn't have, `TargetInUse` where one can't go.
public func tablespacePlaces(of backup: BackupDescription, for request: RestoreRequest) throws -> [UInt32: String] {
    let places = try RestoreTarget.places(of: backup, request)
    try RestoreTarget.checkTablespaces(
        places, backup, target: DataDirectory(request.target).path, living: request.living)
    return places
}

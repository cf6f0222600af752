import Backups
import DataDirectory
import Platform
import SQLite
import WAL

/// What lies in a target of a delta restore and isn't in the backup.
struct ExtraFiles {
    private let target: RestoreTarget
    private let part: RestorePart
    private let find: Statement
    private let folder: String
    private let mounts: MountTable
    private let realRoot: String

    init(_ target: RestoreTarget, _ part: RestorePart, _ manifest: ManifestReader) throws {
        self.target = target
        self.part = part
        mounts = try MountTable()
        realRoot = Files.resolved(target.path)
        find = try manifest.database.prepare("SELECT kind, size FROM file WHERE path = ?")
        folder = DataDirectory.tablespaceFolder(
            major: target.backup.major, catalogVersion: target.backup.catalogVersion)
    }

    /// What was removed.
    struct Removal {
        var removed = 0
        /// Links that were not followed.
        var brokenLinks: [BackedUpLink] = []
        /// What is mounted in the directory, or directories that the backup doesn't have and that contain mount points.
        var keptMounts: [String] = []
    }

    /// Symbolic links are removed and never followed, except tablespaces and, in the cluster's own place, `pg_wal`: the
    /// target of any other link belongs to others.
    ///
    /// - Parameter places: gets the target of `pg_wal`.
    func remove(_ places: inout RestorePlaces) throws -> Removal {
        var removal = Removal()
        try remove(in: "", at: places(""), isBehindLink: false, &places, &removal)
        // Of a tablespace only this version's folder belongs to the cluster.
        for (oid, location) in target.tablespaces where try FileStatus(ifPresent: location)?.kind == .directory {
            let path = "pg_tblspc/\(oid)/" + folder
            let inside = Place(folder, in: try HeldDirectory(confining: location))
            switch try FileStatus(ofLinkItself: inside)?.kind {
            case .directory: try remove(in: path, at: inside, isBehindLink: false, &places, &removal)
            case .symbolicLink: try breakLink(path, at: inside, &removal)
            default: continue
            }
        }
        return removal
    }

    private func real(_ path: String, at place: Place) -> String { place.realPath ?? realRoot + "/" + path }

    private func breakLink(_ path: String, at place: Place, _ removal: inout Removal) throws {
        removal.brokenLinks.append(BackedUpLink(path: path, target: (try? Files.readLink(place)) ?? "?"))
        try Files.remove(place)
        removal.removed += 1
    }

    /// - Parameters:
    ///   - path: relative to the data directory.
    ///   - place: its place on disk.
    ///   - isBehindLink: whether it is outside the data directory, where others may have files: only files that a
    ///     server would create there are removed.
    private func remove(
        in path: String, at place: Place, isBehindLink: Bool, _ places: inout RestorePlaces, _ removal: inout Removal
    ) throws {
        var directories: [(path: String, place: Place, isBehindLink: Bool)] = []
        var isComplete = false
        while !isComplete {
            // A directory that changes while it is read may not list all names.
            isComplete = true
            directories = []
            try Files.forEachName(in: place) { name in
                if path.isEmpty && RestoreTarget.isMarker(name) || name == BackupExclusions.lostAndFound { return }
                let child = path.isEmpty ? name : path + "/" + name
                let childPlace = place.appending(name)
                if target.request.exclude.contain(child) { return }
                guard let status = try FileStatus(ofLinkItself: childPlace) else { return }
                let kind = try kind(of: child)
                if kind == .directory, status.kind == .symbolicLink, child == "pg_wal" {
                    // WAL on a disk of its own stays there.
                    if let directory = apart(childPlace) {
                        places.link(child, to: directory)
                        directories.append((child, Place(".", in: directory), true))
                        return
                    }
                }
                switch (kind, status.kind) {
                case (.directory, .directory):
                    let isApart = child == "pg_wal" && mounts.isMountPoint(real(child, at: childPlace))
                    directories.append((child, childPlace, isBehindLink || isApart))
                case (.tablespace, .symbolicLink): return
                case (.regular, .regular):
                    // Its other name belongs to others, for example to the old cluster after pg_upgrade --link: writing
                    // to the file would change that one, too.
                    guard status.names > 1 else { return }
                    try Files.remove(childPlace)
                    isComplete = false
                case _ where isBehindLink && !ExtraFiles.isServers(name): return
                case (_, .symbolicLink):
                    try breakLink(child, at: childPlace, &removal)
                    isComplete = false
                case _ where mounts.hasMounts(in: real(child, at: childPlace)):
                    if !removal.keptMounts.contains(child) { removal.keptMounts.append(child) }
                default:
                    try Files.removeTree(childPlace)
                    isComplete = false
                    // An earlier restore's; this one writes its own.
                    if child != "backup_manifest" { removal.removed += 1 }
                }
            }
        }
        for next in directories {
            try remove(in: next.path, at: next.place, isBehindLink: next.isBehindLink, &places, &removal)
        }
    }

    /// The target of the cluster's own `pg_wal` link, when that is a directory neither in the data directory nor above
    /// it. A copy's link may have come along with `cp -a`, and lead to the WAL of any other server.
    private func apart(_ link: Place) -> HeldDirectory? {
        guard target.request.living == nil, let directory = try? HeldDirectory(following: link),
            let status = try? directory.status(),
            // If it can't be compared, it may be theirs.
            let others = try? RestoreTarget.others(than: target.path, living: nil, target.backup),
            (try? others.contains { try FileStatus(ifPresent: $0.path + "/pg_wal")?.isSame(as: status) == true })
                == false
        else { return nil }
        let (real, root) = (directory.realPath ?? Files.resolved(link.path), Files.resolved(target.path))
        return Files.lies(real, in: root) || Files.lies(root, in: real) ? nil : directory
    }

    /// Whether a server gives such names to files in `pg_wal` and its directories (xlog.c, xlogarchive.c,
    /// walsummarizer.c).
    static func isServers(_ name: String) -> Bool {
        if ArchiveFileName(name) != nil { return true }
        if ["RECOVERYXLOG", "RECOVERYHISTORY", "temp.summary"].contains(name) { return true }
        guard let dot = name.utf8.lastIndex(of: UInt8(ascii: ".")) else { return false }
        let (stem, ending) = (String(name[..<dot]), name[dot...].dropFirst())
        func isDigit(_ byte: UInt8) -> Bool { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) }
        func isHexadecimal(_ byte: UInt8) -> Bool {
            isDigit(byte) || (UInt8(ascii: "A")...UInt8(ascii: "F")).contains(byte)
        }
        switch ending {
        case "ready", "done", "deleted": return ArchiveFileName(stem) != nil
        case "summary": return stem.utf8.count == 40 && stem.utf8.allSatisfy(isHexadecimal)
        default: return stem == "xlogtemp" && !ending.isEmpty && ending.utf8.allSatisfy(isDigit)
        }
    }

    /// Nil when the path is not restored.
    private func kind(of path: String) throws -> ManifestFile.Kind? {
        try find.bind(1, path)
        defer { find.reset() }
        guard try find.step(), part.treatment(of: path, size: find.integer(1)) != .absent else { return nil }
        return ManifestFile.Kind(rawValue: find.text(0))
    }
}

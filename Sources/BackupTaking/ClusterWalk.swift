import Backups
import DataDirectory
import Glibc
import Platform

/// Finds the files of a cluster that belong to a backup, and adds them to its manifest in their present state, each
/// directory before its contents.
struct ClusterWalk {
    let tablespaces: [TablespaceLink]
    /// Links that were followed, except tablespaces.
    private(set) var links: [BackedUpLink] = []
    /// Warnings about omitted files, except those that PostgreSQL omits as well.
    private(set) var warnings: [String] = []

    private let root: String
    private let tablespaceFolder: String
    private let manifest: ManifestWriter
    private let exclude: NamedExclusions
    private let bounds: WalkBounds

    /// - Parameters:
    ///   - tablespaceFolder: the folder in each tablespace that is this cluster's.
    init(
        _ directory: DataDirectory, major: Int, tablespaceFolder: String, request: BackupRequest,
        into manifest: ManifestWriter
    ) throws {
        self.manifest = manifest
        root = directory.path
        self.tablespaceFolder = tablespaceFolder
        exclude = request.exclude
        bounds = try WalkBounds(root: directory.path, own: request.own)
        tablespaces = try directory.tablespaces()
        let status = try FileStatus(of: root)
        try manifest.add(entry("", kind: .directory, status))
        try visit("", [status], DirectoryListing())
        for path in BackupExclusions.walDirectories(major: major) {
            try manifest.add(
                ManifestFile(path: path, kind: .directory, mode: 0o700, modified: 0, size: 0, target: nil))
        }
    }

    private func entry(_ path: String, kind: ManifestFile.Kind, _ status: FileStatus) -> ManifestFile {
        ManifestFile(
            path: path, kind: kind, mode: UInt32(status.mode), modified: status.modified,
            size: kind == .regular ? status.size : 0, target: nil)
    }

    /// Adds the contents of the directory `path`, which is relative to the data directory and may have vanished.
    ///
    /// - Parameter road: the directories from the data directory to this one.
    private mutating func visit(_ path: String, _ road: [FileStatus], _ listing: DirectoryListing) throws {
        let resetsUnlogged = path.hasPrefix("base/") || path.hasPrefix("pg_tblspc/")
        var directories: [(path: String, status: FileStatus)] = []
        try UnreadableFile.explaining(path) { try listing.read(root + (path.isEmpty ? "" : "/" + path)) }
        while let names = try listing.next() {
            // PostgreSQL resets a relation that has an init fork after a crash, and a copy is a crash.
            let isUnlogged =
                resetsUnlogged && names.contains { RelationFileName($0)?.fork == .initialization }
            for name in names where !BackupExclusions.excludes(name, in: path) {
                let child = path.isEmpty ? name : path + "/" + name
                if child == ControlFile.path || exclude.contain(child) { continue }  // the former is copied last
                guard let status = try status(child, name) else { continue }
                // A copy has these only as empty directories, and of a tablespace only one folder.
                let isEmptied = path.isEmpty && BackupExclusions.emptiedDirectories.contains(child)
                if !isEmptied, path != "pg_tblspc", status.kind == .directory || links.last?.path == child,
                    let objection = bounds.objection(to: status, at: root + "/" + child, on: road)
                {
                    links.removeAll { $0.path == child }
                    warnings.append("\"\(child)\" \(objection) and is left out")
                    continue
                }
                switch status.kind {
                case .regular:
                    if let relation = PageCheck.covers(child) {
                        if relation.temporaryBackend != nil { continue }
                        if isUnlogged && relation.fork != .initialization { continue }
                    }
                    try manifest.add(entry(child, kind: .regular, status))
                case .directory: directories.append((child, status))
                default: warnings.append("special file \"\(child)\" is left out")
                }
            }
        }
        for (child, status) in directories {
            if path == "pg_tblspc" {
                try visitTablespace(child, road + [status], listing)
                continue
            }
            try manifest.add(entry(child, kind: .directory, status))
            if path.isEmpty && BackupExclusions.emptiedDirectories.contains(child) { continue }
            try visit(child, road + [status], listing)
        }
    }

    /// Nil for a file that is absent, or can't be reached.
    private mutating func status(_ path: String, _ name: String) throws -> FileStatus? {
        let whole = root + "/" + path
        guard let link = try UnreadableFile.explaining(path, { try FileStatus(ofLinkItself: whole) }) else {
            // PostgreSQL creates no such names; a warning says that another program's file is missing from the backup.
            if name.contains("\u{FFFD}") { warnings.append("\"\(path)\", whose name is not UTF-8, is left out") }
            return nil
        }
        guard link.kind == .symbolicLink else { return link }
        // A link to a file or directory elsewhere is followed, so that the copy is complete.
        let status: FileStatus?
        do { status = try UnreadableFile.explaining(path) { try FileStatus(ifPresent: whole) } } catch let error
            as SystemError where error.code == ELOOP
        {
            warnings.append("symbolic link \"\(path)\" leads to itself and is left out")
            return nil
        }
        if status == nil { warnings.append("symbolic link \"\(path)\" leads nowhere") }
        if status != nil, !path.hasPrefix("pg_tblspc/") {
            links.append(BackedUpLink(path: path, target: try Files.readLink(whole)))
        }
        return status
    }

    /// A tablespace: only this version's folder in it belongs to this cluster.
    private mutating func visitTablespace(_ path: String, _ road: [FileStatus], _ listing: DirectoryListing) throws {
        guard let link = tablespaces.first(where: { "pg_tblspc/\($0.oid)" == path }) else {
            warnings.append("directory \"\(path)\" is not a tablespace and is left out")
            return
        }
        var own = entry(path, kind: link.isInPlace ? .directory : .tablespace, road[road.count - 1])
        if !link.isInPlace { own.target = link.location }
        try manifest.add(own)
        let folder = path + "/" + tablespaceFolder
        if let status = try FileStatus(ifPresent: root + "/" + folder) {
            try manifest.add(entry(folder, kind: .directory, status))
            try visit(folder, road + [status], listing)
        }
    }
}

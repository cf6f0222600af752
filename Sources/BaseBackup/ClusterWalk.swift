import DataDirectory
import Glibc
import Platform

/// The files of a cluster that belong to a backup, as they were when the walk came by.
struct ClusterWalk: Sendable {
    /// Directories before what is in them.
    private(set) var files = FileList()
    private(set) var tablespaces: [TablespaceLink] = []
    /// What was left out although PostgreSQL would not say so.
    private(set) var warnings: [String] = []

    private let root: String
    private let tablespaceFolder: String

    /// - Parameters:
    ///   - tablespaceFolder: the folder in each tablespace that is this cluster's.
    init(_ directory: DataDirectory, major: Int, tablespaceFolder: String) throws {
        root = directory.path
        self.tablespaceFolder = tablespaceFolder
        tablespaces = try directory.tablespaces()
        files.append(entry("", kind: .directory, try FileStatus(of: root)))
        try visit("")
        for path in BackupExclusions.walDirectories(major: major) {
            files.append(
                ManifestFile(path: path, kind: .directory, mode: 0o700, modified: 0, size: 0, target: nil))
        }
    }

    private func entry(_ path: String, kind: ManifestFile.Kind, _ status: FileStatus) -> ManifestFile {
        ManifestFile(
            path: path, kind: kind, mode: UInt32(status.mode), modified: status.modified,
            size: kind == .regular ? status.size : 0, target: nil)
    }

    /// Adds what is in the directory `path`, which is relative to the data directory and may have vanished meanwhile.
    private mutating func visit(_ path: String) throws {
        let names = try Files.listIfPresent(root + (path.isEmpty ? "" : "/" + path)).sorted()
        let unlogged = unloggedRelations(names, in: path)
        for name in names where !BackupExclusions.excludes(name, in: path) {
            let child = path.isEmpty ? name : path + "/" + name
            if child == ControlFile.path { continue }  // copied last
            guard let link = try FileStatus(ofLinkItself: root + "/" + child) else { continue }
            // A link to a file or directory elsewhere is followed, so that the copy is whole.
            guard let status = link.kind == .symbolicLink ? try FileStatus(ifPresent: root + "/" + child) : link else {
                if link.kind == .symbolicLink { warnings.append("symbolic link \"\(child)\" leads nowhere") }
                continue
            }
            switch status.kind {
            case .regular:
                if let relation = PageCheck.covers(child) {
                    if relation.temporaryBackend != nil { continue }
                    if relation.fork != .initialization && unlogged.contains(relation.fileNode) { continue }
                }
                files.append(entry(child, kind: .regular, status))
            case .directory:
                if path == "pg_tblspc" {
                    try visitTablespace(child, status)
                } else {
                    files.append(entry(child, kind: .directory, status))
                    if path.isEmpty && BackupExclusions.emptiedDirectories.contains(name) { continue }
                    try visit(child)
                }
            default: warnings.append("special file \"\(child)\" is left out")
            }
        }
    }

    /// A tablespace: of everything in it only this version's folder is this cluster's.
    private mutating func visitTablespace(_ path: String, _ status: FileStatus) throws {
        guard let link = tablespaces.first(where: { "pg_tblspc/\($0.oid)" == path }) else {
            warnings.append("directory \"\(path)\" is not a tablespace and is left out")
            return
        }
        var own = entry(path, kind: link.isInPlace ? .directory : .tablespace, status)
        if !link.isInPlace { own.target = link.location }
        files.append(own)
        let folder = path + "/" + tablespaceFolder
        if let status = try FileStatus(ifPresent: root + "/" + folder) {
            files.append(entry(folder, kind: .directory, status))
            try visit(folder)
        }
    }

    /// File nodes that have an init fork: PostgreSQL resets them after a crash, and a copy is a crash.
    private func unloggedRelations(_ names: [String], in path: String) -> Set<UInt32> {
        guard path.hasPrefix("base/") || path.hasPrefix("pg_tblspc/") else { return [] }
        return Set(
            names.lazy.filter { $0.hasSuffix(RelationFileName.Fork.initialization.rawValue) }
                .compactMap { RelationFileName($0)?.fileNode })
    }
}

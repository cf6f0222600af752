import DataDirectory
import Platform
import SQLite

/// What lies in a target of a delta restore and isn't in the backup.
struct Strangers {
    private let target: RestoreTarget
    private let part: RestorePart
    private let find: Statement
    private let folder: String

    init(_ target: RestoreTarget, _ part: RestorePart, _ manifest: ManifestReader) throws {
        self.target = target
        self.part = part
        find = try manifest.database.prepare("SELECT kind, size FROM file WHERE path = ?")
        folder = DataDirectory.tablespaceFolder(
            major: target.backup.major, catalogVersion: target.backup.catalogVersion)
    }

    func remove() throws -> Int {
        var count = try remove(in: "", at: target.path)
        // Only this version's folder of a tablespace is the cluster's.
        for (oid, place) in target.tablespaces {
            let inside = place + "/" + folder
            guard try FileStatus(ifPresent: inside)?.kind == .directory else { continue }
            count += try remove(in: "pg_tblspc/\(oid)/" + folder, at: inside)
        }
        return count
    }

    /// - Parameters:
    ///   - path: relative to the data directory.
    ///   - place: where that is on disk.
    private func remove(in path: String, at place: String) throws -> Int {
        var count = 0
        var directories: [(path: String, place: String)] = []
        var isComplete = false
        while !isComplete {
            // A directory that changes while it is read need not tell all names.
            isComplete = true
            directories = []
            try Files.forEachName(in: place) { name in
                if path.isEmpty && (RestoreTarget.isMarker(name) || name == "lost+found") { return }
                let child = path.isEmpty ? name : path + "/" + name
                let childPlace = place + "/" + name
                guard let status = try FileStatus(ofLinkItself: childPlace) else { return }
                switch (try kind(of: child), status.kind) {
                case (.directory, .directory): directories.append((child, childPlace))
                // pg_wal, or another directory, that was moved elsewhere stays there.
                case (.directory, .symbolicLink) where try FileStatus(ifPresent: childPlace)?.kind == .directory:
                    directories.append((child, childPlace))
                case (.regular, .regular), (.tablespace, .symbolicLink): return
                default:
                    try Files.removeTree(childPlace)
                    isComplete = false
                    // An earlier restore's; this one writes its own.
                    if child != "backup_manifest" { count += 1 }
                }
            }
        }
        for directory in directories { count += try remove(in: directory.path, at: directory.place) }
        return count
    }

    /// Nil when the path is not restored.
    private func kind(of path: String) throws -> ManifestFile.Kind? {
        try find.bind(1, path)
        defer { find.reset() }
        guard try find.step(), part.treatment(of: path, size: find.integer(1)) != .absent else { return nil }
        return ManifestFile.Kind(rawValue: find.text(0))
    }
}

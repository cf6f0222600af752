import DataDirectory
import Platform
import SQLite

/// What lies in a target of a delta restore and isn't in the backup.
struct Strangers {
    private let target: RestoreTarget
    private let files: FileList
    private let find: Statement
    private let folder: String

    init(_ target: RestoreTarget, _ files: FileList, _ manifest: ManifestReader) throws {
        self.target = target
        self.files = files
        find = try manifest.database.prepare("SELECT id FROM file WHERE path = ?")
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
        for name in try Files.list(place) {
            if path.isEmpty && (RestoreTarget.isMarker(name) || name == "lost+found") { continue }
            let child = path.isEmpty ? name : path + "/" + name
            let childPlace = place + "/" + name
            guard let status = try FileStatus(ofLinkItself: childPlace) else { continue }
            switch (try kind(of: child), status.kind) {
            case (.directory, .directory): count += try remove(in: child, at: childPlace)
            // pg_wal, or another directory, that was moved elsewhere stays there.
            case (.directory, .symbolicLink) where try FileStatus(ifPresent: childPlace)?.kind == .directory:
                count += try remove(in: child, at: childPlace)
            case (.regular, .regular): continue
            case (.tablespace, .symbolicLink): continue
            default:
                try Files.removeTree(childPlace)
                // An earlier restore's; this one writes its own.
                if child != "backup_manifest" { count += 1 }
            }
        }
        return count
    }

    /// Nil when the path is not restored.
    private func kind(of path: String) throws -> ManifestFile.Kind? {
        try find.bind(1, path)
        defer { find.reset() }
        guard try find.step() else { return nil }
        return files[Int(find.integer(0))]?.kind
    }
}

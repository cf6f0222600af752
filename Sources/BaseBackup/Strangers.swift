import DataDirectory
import Platform

/// What lies in a target of a delta restore and isn't in the backup.
struct Strangers {
    private let target: RestoreTarget
    private var kinds: [String: ManifestFile.Kind] = [:]
    private let folder: String

    init(_ target: RestoreTarget, _ files: [ManifestFile?]) {
        self.target = target
        folder = DataDirectory.tablespaceFolder(
            major: target.backup.major, catalogVersion: target.backup.catalogVersion)
        for case let file? in files { kinds[file.path] = file.kind }
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
            switch (kinds[child], status.kind) {
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
}

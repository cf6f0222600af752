import DataDirectory
public import Glibc
import Platform
import Repository

/// Where the files of a manifest may lie, and what modes they may have. A manifest comes from a repository that others may be
/// able to write to; what it says must not lead a restore out of its own directories.
extension ManifestFile {
    /// Why no backup has such a file; nil for one that may be.
    var objection: String? {
        if !(0...BackupDescription.largest).contains(size) { return "file \"\(path)\" has the impossible size \(size)" }
        if path.isEmpty { return kind == .directory ? nil : "a path is empty" }
        guard ManifestFile.isConfined(path) else { return "path \"\(path)\" leads out of the data directory" }
        guard kind == .tablespace else { return nil }
        let names = Files.names(in: path)
        guard names.count == 2, names[0] == "pg_tblspc", let oid = UInt32(names[1]), names[1] == "\(oid)" else {
            return "\"\(path)\" is no place for a tablespace"
        }
        guard let target, ManifestFile.isPlain(target) else {
            return "tablespace \(oid) leads to \"\(target ?? "")\", which is no plain path"
        }
        return nil
    }

    /// Names only: nothing that leads upwards, to the root, or to nowhere.
    private static func isConfined(_ path: String) -> Bool {
        path.utf8.count < Int(PATH_MAX) && !path.utf8.contains(0)
            && Files.names(in: path).allSatisfy { !["", ".", ".."].contains($0) && $0.utf8.count <= Int(NAME_MAX) }
    }

    /// An absolute path as PostgreSQL writes it down: `canonicalize_path` has gone over it.
    static func isPlain(_ path: String) -> Bool { path.hasPrefix("/") && isConfined(String(path.dropFirst())) }

    /// What PostgreSQL lets its files have: all for the owner, reading for the group (initdb --allow-group-access), nothing
    /// for others.
    public var restoredMode: mode_t {
        kind == .regular ? mode_t(mode) & 0o750 : 0o700 | mode_t(mode) & 0o050
    }
}

extension ManifestReader {
    /// Goes through all files before any is written.
    ///
    /// - Throws: `ObjectDamaged` for a file in a tablespace that would not lie in this version's folder there: everything
    ///   else in that directory is somebody else's.
    public func checkBounds(_ backup: BackupDescription) throws {
        let folder = DataDirectory.tablespaceFolder(major: backup.major, catalogVersion: backup.catalogVersion)
        let linked = Set(backup.tablespaces.map { "\($0.oid)" })
        for tablespace in backup.tablespaces where !ManifestFile.isPlain(tablespace.location) {
            throw damaged("tablespace \(tablespace.oid) lies in \"\(tablespace.location)\", which is no plain path")
        }
        var size: Int64 = 0
        try forEachFile { _, file in
            size += file.size
            guard size <= BackupDescription.largest else { throw damaged("the files are larger than any cluster") }
            guard file.path.utf8.starts(with: "pg_tblspc/".utf8) else { return }
            let names = Files.names(in: file.path, maxSplits: 3)
            if names.count == 2, file.kind == .tablespace, !linked.contains(String(names[1])) {
                throw damaged("\"\(file.path)\" is not one of the backup's tablespaces")
            }
            if names.count > 2, linked.contains(String(names[1])), names[2] != folder {
                throw damaged("path \"\(file.path)\" is not in the tablespace's own folder")
            }
            if names.count == 2, file.kind != .tablespace, linked.contains(String(names[1])) {
                throw damaged("\"\(file.path)\" is not the link that it was")
            }
        }
    }
}

import DataDirectory
public import Glibc
import Platform
import Repository

/// Limits for the paths and modes of a manifest's files. A manifest comes from a repository that others may be able to
/// write to; it must not lead a restore out of its own directories.
extension ManifestFile {
    /// Why no backup can have such a file; nil when one can.
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

    /// Whether a path has only plain names: it leads neither upwards nor to the root, and isn't empty.
    private static func isConfined(_ path: String) -> Bool {
        path.utf8.count < Int(PATH_MAX) && !path.utf8.contains(0)
            && Files.names(in: path).allSatisfy { !["", ".", ".."].contains($0) && $0.utf8.count <= Int(NAME_MAX) }
    }

    /// Whether it is an absolute path as `canonicalize_path` leaves it.
    static func isPlain(_ path: String) -> Bool { path.hasPrefix("/") && isConfined(String(path.dropFirst())) }

    /// The permissions that PostgreSQL allows for its files: all for the owner, reading for the group (initdb
    /// --allow-group-access), none for others.
    public var restoredMode: mode_t {
        kind == .regular ? mode_t(mode) & 0o750 : 0o700 | mode_t(mode) & 0o050
    }
}

extension ManifestReader {
    /// Checks all files before any is written.
    ///
    /// - Throws: `ObjectDamaged` for a file in a tablespace outside this version's folder: everything else in that
    ///   directory belongs to others.
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

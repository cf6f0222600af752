import Platform
import Repository
import WAL

/// An imported file has the name of another one in the repository.
struct ImportConflict: Explained {
    let conflict: ArchiveConflict
    /// The data directory whose pg_wal has the archived file.
    let owner: String?

    /// - Parameter dataDirectory: the cluster's.
    init(_ conflict: ArchiveConflict, in archive: ClusterArchive, dataDirectory: String?) {
        self.conflict = conflict
        owner = dataDirectory.flatMap { directory in
            let path = "\(directory)/pg_wal/\(conflict.file)"
            guard let segment = SegmentName(conflict.file), (try? Files.exists(path)) == true,
                (try? isContradicted(path, segment, of: archive)) == false
            else { return nil }
            return directory
        }
    }

    var message: String { conflict.message }
    var detail: String? { conflict.detail }
    var hint: String? {
        if let owner {
            return "Nothing was overwritten. The archived file is the one that the server in \"\(owner)\" has in its "
                + "pg_wal: the imported one is another server's. Leave it out."
        }
        return "Nothing was overwritten. Two servers wrote this file. If the archived one is not the cluster's, take "
            + "it out of the way with \"\(conflict.putAside)\", then import again."
    }
}

/// An imported segment continues a file that differs from the archived one.
struct ImportedBranch: Explained {
    let branch: OtherBranch
    var message: String { branch.message }
    var detail: String? {
        "The \"\(branch.contradicted)\" next to it, which it continues, differs from the archived one: two servers have "
            + "written timeline \(branch.segment.timeline)."
    }
    var hint: String? { "Only what continues the archived WAL can be imported: leave the other server's out." }
}

import DataDirectory
import Platform
import Repository
import WAL

extension Push {
    /// Looks whether the server's own WAL is what the archive has before a segment.
    ///
    /// Two servers that were promoted at one position have the same history, and where their records have the same
    /// lengths, each one's segments continue the other's. An archiver stops at the first file that differs. Whoever
    /// archives by hand what a stopped server has left may archive what follows it.
    /// - Throws: `OtherBranch`.
    func requireOwnBranch(_ local: LocalFile, _ place: SegmentPlace) throws {
        guard case .segment(let segment) = place.file, !acceptDiscontinuity else { return }
        let folder = Files.parent(local.path)
        // A primary's archiver hands them over in order.
        guard try !LeftTimeline.isRunningPrimary(DataDirectory(Files.parent(folder)), on: segment.timeline) else {
            return
        }
        var earlier = segment
        while let previous = earlier.previous(segmentSize: place.page.segmentSize) {
            let path = "\(folder)/\(previous)"
            guard try Files.exists(path), let isArchived = try? place.archive.has(.segment(previous)) else { return }
            if isArchived {
                // What can't be read tells nothing: a push never fails for that, and checks the link as well.
                guard (try? isContradicted(path, previous, of: place.archive)) == true else { return }
                throw OtherBranch(segment: segment, contradicted: previous)
            }
            earlier = previous
        }
    }
}

/// The WAL that a segment continues, in its server's pg_wal, differs from what the archive has.
struct OtherBranch: Explained {
    let segment: SegmentName
    let contradicted: SegmentName
    var message: String { "segment \"\(segment)\" does not belong to the archived WAL" }
    var detail: String? {
        "This server's \"\(contradicted)\", which it continues, differs from the archived one: two servers have written "
            + "timeline \(segment.timeline)."
    }
    var hint: String? {
        "Archive from the server that the cluster keeps. To keep this server's WAL, copy its pg_wal elsewhere."
    }
}

public import Platform
public import Repository
import WAL

/// The repository has another file of the same name.
public struct ArchiveConflict: Explained, Equatable {
    public let file: String
    public let location: String
    /// Bytes from the start of the file.
    public let firstDifference: UInt64
    /// Its place in the WAL; nil for files that aren't segments.
    public let position: String?
    /// The difference lies within the records of both. Nil when that isn't known.
    public let isWithinRecords: Bool?
    public let archived: Digest
    public let offered: Digest
    /// The next segment of the timeline is archived as well: it continues the archived one, not this server's.
    public var isFollowed = false

    public var message: String {
        "\"\(file)\" already exists in repository \"\(location)\" with different contents"
    }
    public var detail: String? {
        let place = position.map { " (\($0))" } ?? ""
        let records = isWithinRecords == true ? ", before the end of the valid records" : ""
        return "The first difference is at offset \(firstDifference)\(place)\(records). "
            + "Archived XXH3-128 is \(archived), the offered file has \(offered)."
    }
    /// The command that takes the archived file out of the way.
    var putAside: String { runnable("tidemark segments put-aside \(file)\(isFollowed ? " --following" : "")") }
    public var hint: String? {
        "Nothing was overwritten. Do two servers archive for this cluster, for example an old primary after a "
            + "failover, or a copy of the server's machine? Only one of them may continue with archive_command; give the "
            + "other a cluster of its own. If the archived file is not this server's, take it out of the way with "
            + "\"\(putAside)\""
            + (isFollowed ? ": what is archived after it continues it." : ".")
    }
}

/// A `.partial` whose records contradict those of one that is in the repository; both are kept.
struct PartialsDiffer: Explained {
    let file: String
    let key: RepositoryKey
    let comparison: SegmentComparison
    var message: String { "stored \"\(file)\" as \"\(key.name)\", next to one with other records" }
    var detail: String? {
        let place = comparison.position.map { " (\($0))" } ?? ""
        return
            "The first difference is at offset \(comparison.firstDifference)\(place). Two servers wrote this segment, "
            + "with different records; recovery reads neither unless you ask for it."
    }
}

/// A backup history file was stored beside another one of the same name.
struct BackupHistoriesDiffer: Explained {
    let file: String
    let key: RepositoryKey
    var message: String { "stored \"\(file)\" as \"\(key.name)\", next to one with other contents" }
    var detail: String? { "Two servers took a backup at this WAL position. Recovery reads neither file." }
}

/// A copy was stored that has more records than the one in the repository.
struct LongerCopy: Explained {
    let file: String
    let key: RepositoryKey
    var message: String { "stored \"\(file)\" as \"\(key.name)\": it has more records than the one archived before" }
}

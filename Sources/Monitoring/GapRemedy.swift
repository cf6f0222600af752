import Archiving
import DataDirectory
import Planning
import Platform
public import Repository
public import WAL

/// The commands that close a gap: they archive what the server's pg_wal still has of it, or bring back what was put
/// aside.
public struct GapRemedy: Sendable, Equatable {
    /// Commands that work in any directory.
    public let commands: [String]
    /// Whether they bring back all missing segments.
    public let isComplete: Bool
    /// Whether the command brings back segments that were put aside.
    public let isAside: Bool
    /// Set when nothing is stored before somebody says that the WAL is really lost.
    var lost: WALMissing?

    /// Nil when the server has none of the segments, and none of them was put aside.
    ///
    /// - Parameter pushCommand: the required `archive_command`, with `%p`.
    public init?(_ gap: LineageGap, in archive: ClusterArchive, dataDirectory: String, pushCommand: String) throws {
        // A server keeps some gigabytes at most.
        let local = gap.names.prefix(4096).filter {
            // What a later version stored is not missing, and nothing can be stored in its place.
            $0.isWhole(in: dataDirectory, segmentSize: gap.segmentSize) && archive.laterFormat(of: $0) == nil
        }
        isComplete = local.count == gap.count
        if let name = try archive.putBack(gap, dataDirectory: dataDirectory) {
            (commands, isAside) = ([runnable("tidemark segments put-back \(name)")], true)
            return
        }
        guard !local.isEmpty else { return nil }
        lost = archive.missingWAL()
        var commands = local.map { expand(pushCommand, "\(dataDirectory)/pg_wal/\($0)") }
        if lost != nil { commands[0] += " --accept-discontinuity" }
        (self.commands, isAside) = (commands, false)
    }

    /// What stores a segment again that cannot be read; nil when the server doesn't have it, or a later version of
    /// tidemark stored it.
    public init?(
        unreadable segment: SegmentName, segmentSize: UInt32, in archive: ClusterArchive, dataDirectory: String,
        pushCommand: String
    ) {
        guard segment.isWhole(in: dataDirectory, segmentSize: segmentSize), archive.laterFormat(of: segment) == nil
        else { return nil }
        commands = [expand(pushCommand, "\(dataDirectory)/pg_wal/\(segment)")]
        (isComplete, isAside) = (true, false)
    }

    /// One line.
    public var hint: String {
        if isAside { return "What is missing was put aside, all or some of it; bring it back with: " + commands[0] }
        let more = commands.count > 3 ? "; and so on for \(commands.count - 3) more" : ""
        let advice =
            isComplete ? "The server still has what is missing; store it with: " : "Store what the server still has: "
        if let lost {
            return "\(capitalized(lost.message)). \(lost.doubt), store what the server still has: "
                + commands.prefix(3).joined(separator: "; ") + more
        }
        return advice + commands.prefix(3).joined(separator: "; ") + more
    }
}

extension ArchiveObservation {
    /// Searches the server's pg_wal, and what was put aside, for the first few gaps.
    mutating func lookForRemedies(in archive: ClusterArchive, _ dataDirectory: String, _ pushCommand: String) {
        func remedy(_ gap: Gap) -> GapRemedy? {
            if let stop = gap.stop, !stop.isLink {
                return GapRemedy(
                    unreadable: stop.segment, segmentSize: segmentSize, in: archive, dataDirectory: dataDirectory,
                    pushCommand: pushCommand)
            }
            return try? gap.missing.flatMap {
                try GapRemedy($0, in: archive, dataDirectory: dataDirectory, pushCommand: pushCommand)
            }
        }
        for index in gaps.indices.prefix(8) { gaps[index].remedy = remedy(gaps[index]) }
        if let gap = unreached { unreached?.remedy = remedy(gap) }
        if historyProblem != nil || damagedHistory != nil {
            let lost = damagedHistory?.timeline ?? timeline
            if ownHistory(of: lost, in: dataDirectory) {
                historyRemedy = expand(pushCommand, "\(dataDirectory)/pg_wal/\(lost.fileNamePart).history")
            }
        }
    }
}

/// Whether a server still has a timeline's history in its pg_wal.
public func ownHistory(of timeline: TimelineID, in dataDirectory: String) -> Bool {
    (try? TimelineHistory(timeline, inWAL: "\(dataDirectory)/pg_wal")) != nil
}

/// Expands `%p` as PostgreSQL expands `archive_command` (`BuildArchiveRestoreCommand`, src/common/archive.c), with the
/// path quoted.
private func expand(_ command: String, _ path: String) -> String {
    var text = ""
    var isPlaceholder = false
    for character in command {
        if isPlaceholder {
            text += character == "p" ? shellQuoted(path) : String(character)
            isPlaceholder = false
        } else if character == "%" {
            isPlaceholder = true
        } else {
            text.append(character)
        }
    }
    return text
}

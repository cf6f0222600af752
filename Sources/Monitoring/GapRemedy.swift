import Platform
import Repository
public import WAL

/// What the server's pg_wal still has of a gap, and the commands that store it.
public struct GapRemedy: Sendable, Equatable {
    /// As a person can run them, from anywhere.
    public let commands: [String]
    /// Whether the server has all that is missing.
    public let isComplete: Bool

    /// Nil when the server has nothing of it.
    ///
    /// - Parameter pushCommand: what `archive_command` should be, with `%p`.
    public init?(_ gap: LineageGap, dataDirectory: String, pushCommand: String) {
        var commands: [String] = []
        // A server keeps some gigabytes at most.
        for name in gap.names.prefix(4096) {
            let path = "\(dataDirectory)/pg_wal/\(name)"
            guard let file = try? FileStatus(ifPresent: path), file.size == Int64(gap.segmentSize) else { continue }
            commands.append(expand(pushCommand, path))
        }
        guard !commands.isEmpty else { return nil }
        self.commands = commands
        isComplete = commands.count == gap.count
    }

    /// One line.
    public var hint: String {
        let more = commands.count > 3 ? "; and so on for \(commands.count - 3) more" : ""
        let advice =
            isComplete ? "The server still has what is missing; store it with: " : "Store what the server still has: "
        return advice + commands.prefix(3).joined(separator: "; ") + more
    }
}

extension ArchiveObservation {
    /// Looks into the server's pg_wal for the first few gaps.
    mutating func lookForRemedies(_ dataDirectory: String, _ pushCommand: String) {
        func remedy(_ gap: Gap) -> GapRemedy? {
            gap.missing.flatMap { GapRemedy($0, dataDirectory: dataDirectory, pushCommand: pushCommand) }
        }
        for index in gaps.indices.prefix(8) { gaps[index].remedy = remedy(gaps[index]) }
        if let gap = unreached { unreached?.remedy = remedy(gap) }
        let lost = damagedHistory?.timeline ?? timeline
        let history = "\(dataDirectory)/pg_wal/\(lost.fileNamePart).history"
        if historyProblem != nil || damagedHistory != nil, (try? Files.exists(history)) == true {
            historyRemedy = expand(pushCommand, history)
        }
    }
}

/// As PostgreSQL expands `archive_command` (`BuildArchiveRestoreCommand`, src/common/archive.c), the path quoted.
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

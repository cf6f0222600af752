import Platform

/// What a server that went down during recovery said, and what that means.
enum LastWords {
    /// The messages that ended a server: the last FATAL or PANIC ones with their details, oldest first, without the
    /// line prefix.
    static func of(_ log: String) -> [String] {
        let lines = log.split(separator: "\n").suffix(200)
        var words: [String] = []
        for line in lines {
            if let place = line.firstRange(of: "LOG:  "), line.contains("was terminated by signal") {
                words.append(String(line[place.lowerBound...]))
                continue
            }
            for label in ["FATAL:  ", "PANIC:  ", "ERROR:  ", "HINT:  ", "DETAIL:  "] {
                guard let place = line.firstRange(of: label) else { continue }
                if label.hasPrefix("HINT") || label.hasPrefix("DETAIL") {
                    if !words.isEmpty { words.append(String(line[place.lowerBound...])) }
                } else if !line[place.upperBound...].hasPrefix("the database system is") {
                    words.append(String(line[place.lowerBound...]))
                }
                break
            }
        }
        if words.isEmpty { words = lines.suffix(3).map(String.init) }
        return words.suffix(4)
    }

    private static let space = "Free space on the file system that holds the data directory."

    /// - Parameter resume: the command that continues the recovery; nil where that isn't possible.
    static func fullDisk(resume: String?) -> String { space + andResume(resume) }

    private static func andResume(_ command: String?) -> String {
        command.map { " Then continue with \"\($0)\"." } ?? ""
    }

    private static let endedBefore = "recovery ended before configured recovery target was reached"

    private static func endedBefore(_ target: [String]) -> String {
        let again = runnable("tidemark plan \(target.joined(separator: " "))")
        return "A WAL file that the plan counted on could not be fetched. Plan again: \"\(again)\". If it still finds "
            + "every segment, look for messages of archive-get in the log."
    }

    /// From the specific to the general. `resumes`: whether the recovery can be continued afterwards.
    private static let meanings: [(sign: String, meaning: String, resumes: Bool)] = [
        (
            "requested recovery stop point is before consistent recovery point",
            "The backup is not consistent yet at the target. Choose an older one with --backup.", false
        ),
        (
            "insufficient parameter settings",
            "The original ran with higher settings than this server. Give it the values the message names, for example "
                + "--set max_connections=200.", false
        ),
        (
            "could not map anonymous shared memory",
            "The server requests more memory than this host has. Reduce it, for example with --set shared_buffers=256MB "
                + "--set huge_pages=off.", false
        ),
        (
            "could not allocate",
            "The server requests more memory than this host has. Reduce it, for example with "
                + "--set shared_buffers=256MB.", false
        ),
        (
            "could not create any Unix-domain sockets",
            "Another server uses this socket or port. Choose another with --set port=5433.", false
        ),
        (
            "could not create lock file",
            "The directory for the server's socket is missing or not writable. Choose another with "
                + "--set unix_socket_directories=/tmp.", false
        ),
        (
            "resource manager with ID",
            "An extension writes its own kind of WAL records, which only its library can replay. A copy doesn't load it by default: name "
                + "it with --set shared_preload_libraries=….", false
        ),
        (
            "could not access file \"",
            "A library that the server loads at its start is not installed on this host. Install it, or leave it out "
                + "with --set shared_preload_libraries=.", false
        ),
        (
            "is not a child of this server's history",
            "The backup is not on the history of the requested timeline. Name a timeline with --target-timeline.",
            false
        ),
        (
            "could not locate required checkpoint record",
            "The WAL at the backup's start could not be fetched; look for messages of archive-get in the log.", false
        ),
        ("No space left on device", space, true),
        (
            "could not restore file",
            "archive-get could not say for sure whether the file is in the archive, so the server stopped instead of "
                + "ending recovery early. Remove the cause that the log shows.", true
        ),
        (
            "has invalid permissions",
            "The data directory must belong to the user that runs the server and be closed to others (mode 0700 or 0750).",
            false
        ),
        (
            "was terminated by signal 9",
            "A process of the server was killed. Linux does this when memory runs out, and reports it in the kernel's "
                + "log. In that case, reduce the server's memory with --set shared_buffers=256MB.", true
        ),
        ("could not open configuration file", "Name the server's configuration with --set config_file=….", false),
    ]

    /// - Parameters:
    ///   - target: what the server was to reach, as options of `plan`.
    ///   - resume: the command that continues the recovery; nil where that isn't possible.
    static func meaning(of log: String, target: [String], resume: String?) -> String? {
        let tail = log.split(separator: "\n").suffix(200).joined(separator: "\n")
        if tail.contains(endedBefore) { return endedBefore(target) }
        return meanings.first { tail.contains($0.sign) }.map { $0.meaning + ($0.resumes ? andResume(resume) : "") }
    }
}

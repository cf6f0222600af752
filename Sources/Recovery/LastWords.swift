/// What a server that went down during recovery said, and what that means.
enum LastWords {
    /// The messages that end a server: the last FATAL or PANIC ones with what explains them, oldest first, without the
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

    static let fullDisk =
        "Free space on the file system that holds the data directory, then continue with \"tidemark recover --resume\"."

    /// From the particular to the general.
    private static let meanings: [(sign: String, meaning: String)] = [
        (
            "recovery ended before configured recovery target was reached",
            "A WAL file that the plan counted on could not be fetched. Run \"tidemark plan\" again for the same target; "
                + "if it still finds every segment, look for messages of archive-get in the log."
        ),
        (
            "requested recovery stop point is before consistent recovery point",
            "The backup is not consistent yet at the target. Choose an older one with --backup."
        ),
        (
            "insufficient parameter settings",
            "The original ran with higher settings than this server. Give it the values the message names, for example "
                + "--set max_connections=200."
        ),
        (
            "could not map anonymous shared memory",
            "The server asks for more memory than this host has. Give it less, for example --set shared_buffers=256MB "
                + "--set huge_pages=off."
        ),
        (
            "could not allocate",
            "The server asks for more memory than this host has. Give it less, for example "
                + "--set shared_buffers=256MB."
        ),
        (
            "could not create any Unix-domain sockets",
            "Another server uses this socket or port. Choose another with --set port=5433."
        ),
        (
            "could not create lock file",
            "The directory for the server's socket is missing or not writable. Choose another with "
                + "--set unix_socket_directories=/tmp."
        ),
        (
            "resource manager with ID",
            "An extension writes WAL of its own kind, which only its library can replay. A copy doesn't load it by itself: name "
                + "it with --set shared_preload_libraries=…."
        ),
        (
            "could not access file \"",
            "A library that the server loads at its start is not installed on this host. Install it, or leave it out "
                + "with --set shared_preload_libraries=."
        ),
        (
            "is not a child of this server's history",
            "The backup does not lie on the history of the timeline asked for. Name a timeline with --target-timeline."
        ),
        (
            "could not locate required checkpoint record",
            "The WAL at the backup's start could not be fetched; look for messages of archive-get in the log."
        ),
        ("No space left on device", fullDisk),
        (
            "could not restore file",
            "archive-get could not say for sure whether the file is in the archive, so the server stopped instead of "
                + "ending recovery early. Remove the cause that the log names, then continue with \"tidemark recover --resume\"."
        ),
        (
            "has invalid permissions",
            "The data directory must belong to the user that runs the server and be closed to others (mode 0700 or 0750)."
        ),
        (
            "was terminated by signal 9",
            "Somebody or something killed a process of the server; Linux does so when memory runs out, and the kernel's log "
                + "tells. Continue with \"tidemark recover --resume\", if need be with --set shared_buffers=256MB."
        ),
        ("could not open configuration file", "Name the server's configuration with --set config_file=…."),
    ]

    static func meaning(of log: String) -> String? {
        let tail = log.split(separator: "\n").suffix(200).joined(separator: "\n")
        return meanings.first { tail.contains($0.sign) }?.meaning
    }
}

/// What `archive_command` is to be, and whether another one does as well.
public struct ArchivingCall: Sendable, Equatable {
    /// Such as `/usr/bin/tidemark archive-push --cluster main %p`.
    public let command: String
    public let cluster: String
    /// Whether the configuration has other clusters.
    public let hasOthers: Bool

    public init(command: String, cluster: String, hasOthers: Bool) {
        (self.command, self.cluster, self.hasOthers) = (command, cluster, hasOthers)
    }

    /// The program that an archive_command hands WAL to.
    enum Receiver: Equatable {
        case otherProgram
        /// tidemark, for the cluster named; nil when none is.
        case tidemark(cluster: String?)
    }

    /// Whether a command calls tidemark with the path: the program, not a path or a stanza with that name.
    static func receiver(of command: String) -> Receiver {
        let words = command.split { $0 == " " || $0 == "\t" }.map { word in word.filter { $0 != "'" && $0 != "\"" } }
        let calls = zip(words, words.dropFirst()).contains { program, argument in
            program.split(separator: "/").last == "tidemark" && argument == "archive-push"
        }
        return calls && command.contains("%p") ? .tidemark(cluster: cluster(named: words)) : .otherProgram
    }

    /// Whether a command archives for this cluster, and still does when it isn't the only one.
    func isServed(by command: String) -> Bool {
        switch ArchivingCall.receiver(of: command) {
        case .otherProgram: false
        case .tidemark(nil): !hasOthers
        case .tidemark(let named?): named == cluster
        }
    }

    /// The value of the last `--cluster NAME` or `--cluster=NAME`, as the command's own reading has it.
    private static func cluster(named words: [String]) -> String? {
        var named: String?
        for (place, word) in words.enumerated() {
            if word == "--cluster", place + 1 < words.count { named = words[place + 1] }
            if word.hasPrefix("--cluster=") { named = String(word.dropFirst("--cluster=".count)) }
        }
        return named
    }
}

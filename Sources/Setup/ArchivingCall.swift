/// The required `archive_command`, and whether another one is equivalent.
public struct ArchivingCall: Sendable, Equatable {
    /// Such as `/usr/bin/tidemark archive-push --cluster main %p`.
    public let command: String
    public let cluster: String
    /// Whether the configuration has other clusters.
    public let hasOthers: Bool

    public init(command: String, cluster: String, hasOthers: Bool) {
        (self.command, self.cluster, self.hasOthers) = (command, cluster, hasOthers)
    }

    /// The program to which an archive_command passes WAL.
    enum Receiver: Equatable {
        case otherProgram
        /// tidemark, for the cluster named; nil when none is.
        case tidemark(cluster: String?)
    }

    /// Whether a command runs tidemark with the path: the program, not a path or a stanza of that name.
    static func receiver(of command: String) -> Receiver {
        let words = command.split { $0 == " " || $0 == "\t" }.map { word in word.filter { $0 != "'" && $0 != "\"" } }
        let calls = zip(words, words.dropFirst()).contains { program, argument in
            program.split(separator: "/").last == "tidemark" && argument == "archive-push"
        }
        return calls && command.contains("%p") ? .tidemark(cluster: cluster(named: words)) : .otherProgram
    }

    /// Whether the shell runs more than one command, or takes a part for a comment: then a failure to archive may be
    /// hidden from the server. `&&` is harmless: every command of the chain must succeed.
    static func mayHideFailure(_ command: String) -> Bool {
        var quote: Character?
        var before: Character = " "
        var rest = command[...]
        while let character = rest.popFirst() {
            defer { before = character }
            if character == "\\", quote != "'" {
                _ = rest.popFirst()
            } else if let open = quote {
                if character == open { quote = nil }
            } else {
                switch character {
                case "'", "\"": quote = character
                case ";", "|", "\n": return true
                case "#" where before == " " || before == "\t": return true
                case "&" where rest.first == "&": rest.removeFirst()
                // 2>&1, &>file
                case "&" where before != ">" && before != "<" && rest.first != ">": return true
                default: break
                }
            }
        }
        return false
    }

    /// Whether a command archives for this cluster, even if it isn't the only one.
    func isServed(by command: String) -> Bool {
        if ArchivingCall.mayHideFailure(command) { return false }
        return switch ArchivingCall.receiver(of: command) {
        case .otherProgram: false
        case .tidemark(nil): !hasOthers
        case .tidemark(let named?): named == cluster
        }
    }

    /// The value of the last `--cluster NAME` or `--cluster=NAME`, parsed as the command does.
    private static func cluster(named words: [String]) -> String? {
        var named: String?
        for (place, word) in words.enumerated() {
            if word == "--cluster", place + 1 < words.count { named = words[place + 1] }
            if word.hasPrefix("--cluster=") { named = String(word.dropFirst("--cluster=".count)) }
        }
        return named
    }
}

/// The options and words of a command, and their descriptions.
///
/// One value per command drives parsing, `--help`, the manual page and the shell completions, so that none of them can
/// drift from the others.
public struct Grammar: Sendable {
    public struct Option: Sendable, Equatable {
        /// Without the dashes.
        public let name: String
        public let letter: Character?
        /// The name of the value in help, such as `LSN`; nil for a switch.
        public let value: String?
        public let help: String
        public let repeats: Bool
        /// Whether the value may be omitted; a value is then given as `--name=value` only, and is otherwise empty.
        public let valueIsOptional: Bool

        public init(
            _ name: String, letter: Character? = nil, value: String? = nil, valueIsOptional: Bool = false,
            repeats: Bool = false, _ help: String
        ) {
            self.name = name
            self.letter = letter
            self.value = value
            self.help = help
            self.repeats = repeats
            self.valueIsOptional = valueIsOptional
        }
    }
    public struct Word: Sendable, Equatable {
        public enum Count: Sendable, Equatable {
            case one
            case optional
            case any
        }
        /// As shown in help: `PATH`, `LABEL`.
        public let name: String
        public let count: Count
        public let help: String
        public init(_ name: String, count: Count = .one, _ help: String) {
            self.name = name
            self.count = count
            self.help = help
        }
    }
    public struct Example: Sendable, Equatable {
        public let line: String
        public let meaning: String
        public init(_ line: String, _ meaning: String) {
            self.line = line
            self.meaning = meaning
        }
    }

    public let command: String
    /// One line that begins with a verb, without a full stop.
    public let summary: String
    /// Paragraphs for help and manual page.
    public let description: [String]
    public let words: [Word]
    public let options: [Option]
    public let examples: [Example]
    /// Exit statuses other than 0, 1 and 2, or those with a special meaning.
    public let exits: [(status: Int32, meaning: String)]

    public init(
        _ command: String, _ summary: String, description: [String] = [], words: [Word] = [], options: [Option] = [],
        examples: [Example] = [], exits: [(status: Int32, meaning: String)] = []
    ) {
        self.command = command
        self.summary = summary
        self.description = description
        self.words = words
        self.options = options
        self.examples = examples
        self.exits = exits
    }

    /// Options every command takes.
    public static let common = [
        Option(
            "config", letter: "c", value: "FILE",
            "configuration file (default: $TIDEMARK_CONFIG, else /etc/tidemark/tidemark.conf)"),
        Option("cluster", value: "NAME", "the cluster, when the configuration names several"),
        Option("verbose", letter: "v", "also say what is done in between"),
        Option("help", letter: "h", "show this help"),
    ]

    /// Every setting is a flag too; the command's own option of that name takes precedence.
    public var settingOptions: [Option] {
        let taken = Set(options.map(\.name))
        return Setting.flags.filter { !taken.contains($0.flag) }.map { Option($0.flag, value: "VALUE", $0.meaning) }
    }

    var wordCounts: ClosedRange<Int> {
        let least = words.count { $0.count == .one }
        return least...(words.contains { $0.count == .any } ? Int.max : words.count)
    }
}

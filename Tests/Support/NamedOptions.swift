import Platform
import Synchronization

/// What messages say of options.
public enum NamedOptions {
    /// An option that a text names, such as `--delta`.
    public struct Mention: Sendable {
        public let option: String
        /// The command in whose quoted line it is: `"tidemark recover --delta"`.
        public let command: String?
    }

    public static func found(in text: some StringProtocol) -> [Mention] {
        var (found, command): ([Mention], String?) = ([], nil)
        for match in String(text).matches(of: /tidemark ([a-z][a-z-]*)|(?:^|[ (]|(?="))("?)(--[a-z][a-z-]*)|"/) {
            if let named = match.1 {
                command = String(named)
            } else if let option = match.3 {
                if match.2 == "\"" { command = nil }
                found.append(Mention(option: String(option), command: command))
            } else {
                command = nil
            }
        }
        return found
    }

    /// Whether a command has an option, one of its own or a setting's.
    public static func has(_ command: String, _ option: String) throws -> Bool {
        let key = "\(command) \(option)"
        if let known = known.withLock({ $0[key] }) { return known }
        // Help is printed unless something is wrong with the words before it. A switch takes no value.
        let finished = try run(
            Executables.directory.get() + "/tidemark-main", [command, option + "=1", "--help"])
        let has = !finished.errors.contains("unknown option")
        known.withLock { $0[key] = has }
        return has
    }

    /// The first option that a hint or warning of a command names, and that it doesn't have; nil when there is none.
    /// One in the line of another command is that one's.
    public static func misplaced(in errors: String, of command: String) throws -> String? {
        for line in errors.split(separator: "\n") where line.hasPrefix("HINT:") || line.hasPrefix("WARNING:") {
            for mention in found(in: line) where !others.contains(mention.option) {
                if try !has(mention.command ?? command, mention.option) { return mention.option }
            }
        }
        return nil
    }

    /// Options of other programs, and the one that stands for a command.
    public static let others: Set<String> = ["--schema-only", "--now", "--all", "--version", "--reference"]
    private static let known = Mutex<[String: Bool]>([:])
}

import Configuration

enum VersionCommand: Command {
    static let grammar = Grammar(
        "version", "show the version", examples: [Grammar.Example("tidemark version", "the version")])

    static func run(_ invocation: Invocation) throws -> ExitStatus {
        invocation.print("tidemark \(CommandLineTool.version)")
        return .success
    }
}

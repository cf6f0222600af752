import Configuration
import Jobs

/// One command: its grammar, and the job it runs. A command parses, calls, prints; it decides nothing.
protocol Command: SendableMetatype {
    static var grammar: Grammar { get }
    /// The kind of its job record; nil for a command that isn't recorded.
    static var jobKind: JobKind? { get }
    static func run(_ invocation: Invocation) throws -> ExitStatus
}

extension Command {
    static var jobKind: JobKind? { nil }
}

enum Commands {
    /// In the order of `tidemark help`, by purpose.
    static let groups: [(title: String, commands: [any Command.Type])] = [
        ("Set up", [InitCommand.self, SettingsCommand.self, ImportCommand.self]),
        (
            "Keep safe",
            [BackupCommand.self, VerifyCommand.self, ExpireCommand.self, RemoveCommand.self, CleanCommand.self]
        ),
        (
            "Look",
            [
                ListCommand.self, ShowCommand.self, DuCommand.self,
                SegmentsCommand.self,
                WindowCommand.self,
                EventsCommand.self,
                AroundCommand.self,
                CatalogCommand.self,
            ]
        ),
        (
            "Watch",
            [
                CheckCommand.self,
                HistoryCommand.self,
                NotifyCommand.self,
                ReportCommand.self,
                StatusCommand.self,
            ]
        ),
        (
            "Bring back",
            [
                PlanCommand.self,
                RecoverCommand.self,
                DrillCommand.self,
                RecoverTableCommand.self,
            ]
        ),
        ("About", [HelpCommand.self, VersionCommand.self]),
    ]

    static var all: [any Command.Type] { groups.flatMap(\.commands) }

    /// Every command's grammar, those that PostgreSQL calls first.
    static var grammars: [Grammar] { [.archivePush, .archiveGet, .recoveryEnd] + all.map { $0.grammar } }

    static func named(_ name: String) -> (any Command.Type)? { all.first { $0.grammar.command == name } }
}

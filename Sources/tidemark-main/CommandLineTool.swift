import ArchiveCommandLine
import Configuration
import Glibc
import Platform
import Repository
import Synchronization

/// Finds the command, runs it, and turns its error into a message and an exit status.
enum CommandLineTool {
    static let version = tidemarkVersion

    static func run(_ words: [String]) -> Int32 {
        let line = Grammar.commandFirst(words)
        // Before anything is set up that the other commands need and PostgreSQL's don't.
        if let status = ArchiveCommands.run(line) { return status }
        let rest = line.dropFirst()
        let isKnown = rest.first.map { Commands.named($0) != nil } ?? false
        if RestoreCall.isMeant(rest, isKnown: isKnown) {
            Log()(
                .error,
                UsageError(
                    "\(isKnown ? "" : "unknown command ")\"\(rest.first ?? "")\" cannot fetch WAL",
                    hint: "Use \"tidemark archive-get %f %p\"."))
            return 200
        }
        // Neither a closed pipe nor a file size limit may kill a command in the middle of its work.
        signal(SIGPIPE, SIG_IGN)
        signal(SIGXFSZ, SIG_IGN)
        var log = Log()
        if Interruption.left == nil { Interruption.watch(line) }
        do {
            let status = try dispatch(Array(line.dropFirst()), &log)
            Interruption.comesTooLate()
            if let failure = outputFailure.withLock({ $0 }) { throw failure }
            return status.rawValue
        } catch {
            Interruption.comesTooLate()
            log(.error, error)
            return status(of: error).rawValue
        }
    }

    private static func dispatch(_ line: [String], _ log: inout Log) throws -> ExitStatus {
        guard let name = line.first else {
            writeToStandardOutput(HelpCommand.overview + "\n")
            return .usage
        }
        let aliases = ["--help": "help", "-h": "help", "--version": "version", "-V": "version"]
        let wanted = aliases[name] ?? name
        // Only help for these is left to print.
        for grammar in [Grammar.archivePush, .archiveGet, .recoveryEnd] where grammar.command == wanted {
            _ = try Arguments(line.dropFirst(), by: grammar)
            writeToStandardOutput(grammar.help)
            return .success
        }
        guard let command = Commands.named(wanted) else {
            if name.hasPrefix("-") {
                throw UsageError(
                    "option \"\(name)\" precedes the command",
                    hint: "Only options that every command has may precede it.")
            }
            throw UsageError(
                "unknown command \"\(name)\"",
                hint: Commands.meant(by: wanted).map { "Did you mean \"tidemark \($0)\"?" } ?? "Try \"tidemark help\".")
        }
        let arguments = try Arguments(line.dropFirst(), by: command.grammar)
        if arguments.has("help") {
            writeToStandardOutput(command.grammar.help)
            return .success
        }
        followSettings(arguments, &log)
        if let left = Interruption.left {
            return Interruption.conclude(Invocation(arguments: arguments, log: log), command.grammar, left)
        }
        let invocation = Invocation(arguments: arguments, log: log)
        defer { invocation.terminal.finishProgress() }
        return try JobWatch.run(command, invocation)
    }

    /// Ignores a configuration that can't be read: the command reports it, if it needs one.
    private static func followSettings(_ arguments: Arguments, _ log: inout Log) {
        log.json = arguments.settings["log_format"] == "json"
        if arguments.has("verbose") { log.threshold = .debug }
        let path = Configuration.path(flag: arguments.value("config"))
        guard let configuration = try? Configuration(reading: path, flags: arguments.settings) else { return }
        let cluster = try? configuration.cluster(named: arguments.value("cluster"))
        configuration.completeOffers(for: cluster, arguments)
        guard let cluster else { return }
        log.follow(cluster, verbose: arguments.has("verbose"))
    }

    static func status(of error: any Error) -> ExitStatus {
        switch error {
        case let error as any ExitStatusProviding: error.exitStatus
        case is UsageError, is SettingsMistake, is MomentError: .usage
        default: .failure
        }
    }
}

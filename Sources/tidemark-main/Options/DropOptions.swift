import Configuration
import Operations
import Planning
import Platform
import Recovery
import TableRecovery

/// `--before-drop` and `--before-drop-database`: targets that are searched for in the archive.
enum DropOptions {
    static let options: [Grammar.Option] = [
        .init("before-drop", value: "DB.SCHEMA.TABLE", "stop just before this table was dropped"),
        .init("before-drop-database", value: "DB", "stop just before this database was dropped"),
    ]

    /// The request, when one of the options is given.
    static func request(_ arguments: Arguments) throws -> TargetRequest? {
        let given = (["before-drop", "before-drop-database"] + TargetOptions.points).filter(arguments.has)
        guard given.first?.hasPrefix("before-drop") == true else { return nil }
        guard given.count == 1 else {
            throw UsageError("--\(given[0]) and --\(given[1]) exclude each other", hint: "Name one target.")
        }
        if let table = arguments.value("before-drop") {
            return try TargetOptions.request(
                .beforeDrop(of: [TablePattern(table)], isDatabaseMeant: false), arguments)
        }
        return try TargetOptions.request(
            .beforeDropOfDatabase(arguments.value("before-drop-database") ?? ""), arguments)
    }
}

/// A position that isn't in the archive can't be reached.
extension NoDatabaseDropFound: ExitStatusProviding {
    var exitStatus: ExitStatus { .unreachable }
}

extension DropUnknown: ExitStatusProviding {
    var exitStatus: ExitStatus { unread.contains(where: \.isFailure) ? .failure : .unreachable }
}

extension DropElsewhere: ExitStatusProviding {
    var exitStatus: ExitStatus { .unreachable }
}

extension DroppedTooEarly: ExitStatusProviding {
    var exitStatus: ExitStatus { .unreachable }
}

import Configuration
import Glibc
import Jobs
import Operations
import Planning
import Platform
import Presentation
import Recovery
import TableRecovery

enum RecoverTableCommand: Command {
    static let grammar = Grammar(
        "recover-table", "bring back tables, and nothing else",
        description: [
            "Restores from the base backup only the files of the tables and the system catalogs, into a temporary cluster on a "
                + "private socket; replays WAL up to the target there; copies the tables out; and removes the temporary "
                + "cluster. The live server's other tables, its settings and its archive are not touched.",
            "Tables are named as in SQL: shop.public.orders, shop.\"Sales 2026\".\"Order\"; * and ? outside of quotation marks "
                + "stand for anything, as in shop.public.*. All must be in one database. Partitions come with their table.",
            "New tables get columns, constraints, indexes, defaults, sequences with their positions, statistics, comments, owner and "
                + "grants; foreign keys and triggers only on request. They appear in one transaction.",
            "Tables that were unlogged at the target, and temporary ones, are in no backup and in no WAL.",
        ],
        options: [
            .init(
                "table", letter: "t", value: "DB.SCHEMA.TABLE", repeats: true, "a table or a pattern; may be repeated"),
            .init("database", value: "DB", "every table of this database; or where the named tables are"),
        ] + TargetOptions.options + [
            .init("before-drop", "the target: just before the tables were dropped"),
            .init(
                "into-table", value: "SCHEMA.NAME", valueIsOptional: true,
                "into new tables of the live database (default: the old name with the moment added)"),
            .init(
                "with-foreign-keys",
                "give new tables their foreign keys, and restore those of other tables to a table that gets its old name"
            ),
            .init(
                "with-triggers",
                "give new tables their triggers, rules and policies, and restore those of other tables as above"
            ),
            .init("with-views", "restore missing views over a table that gets its old name"),
            .init(
                "to-file", value: "FILE",
                "into a pg_dump file; plain SQL if it ends in .sql, custom format otherwise"),
            .init("replace", "replace the present tables, which are kept as …_before_restore"),
            .init("diff", "compare with the live tables by primary key: missing, changed and added rows"),
            .init("apply", value: "missing", "with --diff: put the missing rows back into the live tables"),
            .init("no-filter-wal", "also replay what concerns other tables: needs more disk space and time"),
            .init("dry-run", "print the plan and stop"),
            .init("yes", letter: "y", "don't ask for confirmation"),
            .init("json", "print JSON"),
        ],
        examples: [
            Grammar.Example(
                "tidemark recover-table --table shop.public.orders --target-time '2026-11-05 09:59:00+01' --into-table",
                "next to the live table"),
            Grammar.Example(
                "tidemark recover-table --table shop.public.orders --before-drop --to-file orders.dump",
                "a dropped table"),
            Grammar.Example(
                "tidemark recover-table -t shop.public.orders --target-time '2026-11-05 09:59:00+01' --diff --apply missing",
                "after a bad DELETE: only the lost rows"),
        ],
        exits: [
            (3, "with --diff: the tables differ; with --apply: not all rows were put back"),
            (4, "the target cannot be reached; nothing was touched"),
        ])

    static let jobKind: JobKind? = .recoverTable

    static func run(_ invocation: Invocation) throws -> ExitStatus {
        let arguments = invocation.arguments
        let tables = try patterns(arguments)
        let destinations = try TableDestinations.read(arguments)
        let cluster = try invocation.becomeOwnerWithPlacesApart()
        var order = TableRecoveryOrder(tables, try target(tables, arguments, cluster))
        order.destinations = destinations
        order.method = arguments.has("no-filter-wal") ? .holes : .filteredWAL
        order.parts.foreignKeys = arguments.has("with-foreign-keys")
        order.parts.triggers = arguments.has("with-triggers")
        order.parts.views = arguments.has("with-views")
        let job = try TableRecoveryJob(order, of: cluster, invocation.context())
        if arguments.has("dry-run") {
            if invocation.json {
                try invocation.print(json: PlanDocument(job))
            } else {
                invocation.print(PlanText(job).text)
            }
            return .success
        }
        guard !destinations.isEmpty else {
            throw UsageError(
                "where should the tables go?",
                hint: "Say --into-table, --to-file FILE, --diff or --replace; --dry-run only plans.")
        }
        if let doubt = job.doubt, try !confirm(doubt, invocation) { return .interrupted }
        if destinations.contains(.replacement), try !confirmReplacement(tables, invocation) { return .interrupted }
        if destinations.contains(.missingRows),
            try !invocation.confirm("Insert the rows that are missing into the live tables?")
        {
            return .interrupted
        }
        let report = try job.run()
        if invocation.json {
            try invocation.print(json: TableRecoveryDocument(report, job.plan, planSeconds: job.planSeconds))
        } else {
            invocation.print(tableRecoveryText(report, job.plan))
        }
        return report.differs ? .problemsFound : .success
    }

    private static func patterns(_ arguments: Arguments) throws -> [TablePattern] {
        let database = arguments.value("database")
        let tables = try arguments.all("table").map { try TablePattern($0, database: database) }
        if tables.isEmpty {
            guard let database else {
                throw UsageError("which table?", hint: "Name it with --table database.schema.table.")
            }
            return [.everything(in: database)]
        }
        if let other = tables.first(where: { $0.database != tables[0].database }) {
            let names = "\"\(tables[0].database)\" and \"\(other.database)\""
            throw UsageError(
                "tables of two databases, \(names), cannot be recovered at once",
                hint: "Call recover-table once for each database.")
        }
        return tables
    }

    private static func target(
        _ tables: [TablePattern], _ arguments: Arguments, _ cluster: ClusterConfiguration
    ) throws -> TargetRequest {
        guard arguments.has("before-drop") else { return try TargetOptions.request(arguments, zone: cluster.timezone) }
        if let option = TargetOptions.points.first(where: arguments.has) {
            throw UsageError("--before-drop and --\(option) exclude each other")
        }
        // Tables may also have been dropped with their database.
        return try TargetOptions.request(.beforeDrop(of: tables, isDatabaseMeant: true), arguments)
    }

    /// When several tables have the name, the user must choose.
    private static func confirm(_ doubt: String, _ invocation: Invocation) throws -> Bool {
        if invocation.arguments.has("yes") || isatty(0) == 1 {
            invocation.log(.warning, "this may not be the table that you mean", detail: doubt)
            return try invocation.confirm("Recover the table that was found?")
        }
        throw Problem(
            "cannot tell which table of this name you mean", detail: doubt,
            hint: "Name that moment instead, or add --yes to recover the table that was found.")
    }

    /// A name that is replaced must be typed.
    private static func confirmReplacement(_ tables: [TablePattern], _ invocation: Invocation) throws -> Bool {
        let name = invocation.arguments.value("table") ?? tables[0].database
        return try invocation.confirm(
            "The live tables will be replaced and kept as …_before_restore. Type \(name) to continue: ", byTyping: name)
    }
}

/// The destinations of recovered tables, from the options.
enum TableDestinations {
    static func read(_ arguments: Arguments) throws -> [TableRecoveryRequest.Destination] {
        var destinations: [TableRecoveryRequest.Destination] = []
        if let path = arguments.value("to-file") {
            destinations.append(
                .file(path: try absolutePath(path), format: path.hasSuffix(".sql") ? "plain" : "custom"))
        }
        if let apply = arguments.value("apply") {
            guard apply == "missing" else { throw UsageError("--apply takes \"missing\", not \"\(apply)\"") }
            guard arguments.has("diff") else { throw UsageError("--apply goes with --diff") }
            destinations.append(.missingRows)
        } else if arguments.has("diff") {
            destinations.append(.comparison)
        }
        if arguments.has("into-table") {
            let text = arguments.value("into-table") ?? ""
            destinations.append(.tables(named: text.isEmpty ? nil : try newName(text)))
        }
        if arguments.has("replace") {
            if arguments.has("into-table") { throw UsageError("--into-table and --replace exclude each other") }
            destinations.append(.replacement)
        }
        return destinations
    }

    private static func newName(_ text: String) throws -> TableName {
        do { return try TablePattern.name(text) } catch {
            let inPublic = "public.\(text)"
            throw UsageError(
                "--into-table takes schema.name, not \"\(text)\"",
                hint: (try? TablePattern.name(inPublic)) == nil
                    ? "Quote names that have other characters than lower-case letters, digits and underscores as in SQL."
                    : "Did you mean \(shellQuoted("--into-table=\(inPublic)"))?")
        }
    }
}

extension NoDropFound: ExitStatusProviding {
    var exitStatus: ExitStatus { .unreachable }
}

extension BadTablePattern: ExitStatusProviding {
    var exitStatus: ExitStatus { .usage }
}

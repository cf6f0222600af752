import Archiving
import BaseBackup
import Configuration
import Glibc
import Platform
import Recovery
import Repository
import TableRecovery
import WAL

enum RecoverTableCommand: Command {
    static let grammar = Grammar(
        "recover-table", "bring back tables, and nothing else",
        description: [
            "Restores from the base backup only the files that the tables and the catalogs need, into a temporary cluster on a "
                + "private socket; replays the log to the target there; takes the tables out; and removes the temporary "
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
                "into new tables of the live database (default: beside the old name, with the moment added)"),
            .init(
                "with-foreign-keys",
                "give new tables their foreign keys, and restore those of other tables to a table that gets its old name"
            ),
            .init(
                "with-triggers",
                "give new tables their triggers, rules and row-level security, and restore those of other tables as above"
            ),
            .init("with-views", "restore missing views over a table that gets its old name"),
            .init(
                "to-file", value: "FILE",
                "into a file of pg_dump's; plain SQL if it ends in .sql, custom format otherwise"),
            .init("replace", "put the tables in the place of the present ones, which are kept as …_before_restore"),
            .init("diff", "compare with the live tables by primary key: rows missing, changed, added since"),
            .init("apply", value: "missing", "with --diff: put the missing rows back into the live tables"),
            .init("no-filter-wal", "replay what concerns other tables, too: more disk, more work"),
            .init("dry-run", "print the plan and stop"),
            .init("yes", letter: "y", "don't ask for confirmation"),
            .init("json", "print JSON"),
        ],
        examples: [
            Grammar.Example(
                "tidemark recover-table --table shop.public.orders --target-time '2026-11-05 09:59:00+01' --into-table",
                "beside the live table"),
            Grammar.Example(
                "tidemark recover-table --table shop.public.orders --before-drop --to-file orders.dump",
                "a dropped table"),
            Grammar.Example(
                "tidemark recover-table -t shop.public.orders --target-time '2026-11-05 09:59:00+01' --diff --apply missing",
                "after a bad DELETE: only the lost rows"),
        ],
        exits: [(3, "with --diff: the tables differ"), (4, "the target cannot be reached; nothing was touched")])

    static func run(_ invocation: Invocation) throws -> ExitStatus {
        let arguments = invocation.arguments
        let tables = try patterns(arguments)
        let destinations = try TableDestinations.read(arguments)
        let cluster = try invocation.clusterWithPlacesApart()
        let began = Clock.monotonic
        let archive = try RecoveryArchive(
            repository: cluster.openRepository(), cluster: cluster.name, dataDirectory: cluster.dataDirectory,
            jobs: cluster.jobs, timeline: try TargetOptions.number(arguments),
            incarnation: arguments.value("incarnation"), backup: arguments.value("backup"),
            at: try TargetOptions.moment(arguments, zone: cluster.timezone))
        let (plan, doubt) = try plan(tables, archive, cluster, invocation)
        let planSeconds = Double(Clock.monotonic - began) / 1e9
        if arguments.has("dry-run") {
            try TableRecoveryText.show(plan, archive, cluster, invocation)
            return .success
        }
        guard !destinations.isEmpty else {
            throw UsageError(
                "where should the tables go?",
                hint: "Say --into-table, --to-file FILE, --diff or --replace; --dry-run only plans.")
        }
        if let doubt, try !confirm(doubt, invocation) { return .interrupted }
        if destinations.contains(.replacement), try !confirmReplacement(tables, invocation) { return .interrupted }
        if destinations.contains(.missingRows),
            try !invocation.confirm("Insert the rows that are missing into the live tables?")
        {
            return .interrupted
        }
        var request = TableRecoveryRequest(
            tables: tables, plan: plan, destinations: destinations,
            binDirectory: cluster.binDirectory(major: plan.majorVersion), scratchDirectory: cluster.scratchDirectory,
            liveConninfo: cluster.conninfo, jobs: cluster.jobs)
        request.patience = cluster.drillTimeout
        request.method = arguments.has("no-filter-wal") ? .holes : .filteredLog
        request.parts.foreignKeys = arguments.has("with-foreign-keys")
        request.parts.triggers = arguments.has("with-triggers")
        request.parts.views = arguments.has("with-views")
        defer { invocation.terminal.finishProgress() }
        let (terminal, log) = (invocation.terminal, invocation.log)
        let report = try recoverTables(request, from: archive) { event in
            switch event {
            case .begun: invocation.notes.begin()
            case .restoring(let progress): terminal.progress("restoring: " + progress.text, log: log)
            case .replaying(let done, let total, let standstill):
                terminal.progress(
                    "replaying segment \(done) of \(total)" + (standstill.map { "; \($0)" } ?? ""), log: log)
            case .takingOut(let table): terminal.progress("copying \(table)", log: log)
            case .note(let text):
                terminal.finishProgress()
                log(.log, text)
            }
        }
        terminal.finishProgress()
        for table in report.tables { invocation.notes("table", table.name) }
        try TableRecoveryText.show(report, plan, planSeconds: planSeconds, invocation)
        let differs = report.tables.contains { table in
            table.inserted == nil && table.difference.map { $0.missing + $0.changed + $0.added > 0 } == true
        }
        return differs ? .problemsFound : .success
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

    private static func plan(
        _ tables: [TablePattern], _ archive: RecoveryArchive, _ cluster: ClusterConfiguration, _ invocation: Invocation
    ) throws -> (Plan, doubt: String?) {
        let arguments = invocation.arguments
        return try choosingTimeline(invocation, in: archive) { timeline in
            var request: PlanRequest
            var doubt: String?
            if arguments.has("before-drop") {
                let given = ["target-time", "target-lsn", "target-xid", "target-name", "target"].filter(arguments.has)
                if let option = given.first { throw UsageError("--before-drop and --\(option) exclude each other") }
                let found = try target(beforeDropOf: tables, archive, timeline, invocation)
                request = PlanRequest(found.target, backup: arguments.value("backup"))
                doubt = found.doubt
            } else {
                request = try TargetOptions.request(arguments, zone: cluster.timezone)
            }
            request.target.timeline = timeline
            var plan = try archive.plan(request, usePartials: false)
            if let doubt { plan.warnings.append(doubt) }
            return (plan, doubt)
        }
    }

    /// Tables may also have gone with their database.
    private static func target(
        beforeDropOf tables: [TablePattern], _ archive: RecoveryArchive, _ timeline: RecoveryTarget.Timeline,
        _ invocation: Invocation
    ) throws -> (target: RecoveryTarget, doubt: String?) {
        do {
            let moment = try momentBeforeDrop(
                of: tables, in: archive, timeline: timeline, backup: invocation.arguments.value("backup"))
            moment.tell(invocation.log)
            return (moment.target, moment.doubt)
        } catch let nothing as NoDropFound {
            let name = tables[0].database
            let moment: DatabaseDropMoment
            do {
                moment = try momentBeforeDrop(ofDatabase: name, in: archive, timeline: timeline)
            } catch is NoDatabaseDropFound { throw nothing }
            invocation.log(
                .log, "database \"\(name)\" was dropped by transaction \(moment.drop.xid), LSN \(moment.drop.lsn)")
            return (moment.target, moment.doubt)
        }
    }

    /// Which of several tables of a name is meant must not be guessed.
    private static func confirm(_ doubt: String, _ invocation: Invocation) throws -> Bool {
        if invocation.arguments.has("yes") || isatty(0) == 1 {
            invocation.log(.warning, "this may not be the table that you mean", detail: doubt)
            return try invocation.confirm("Recover the table that was found?")
        }
        throw Problem(
            "cannot tell which table of this name you mean", detail: doubt,
            hint: "Name that moment instead, or add --yes to recover the table that was found.")
    }

    /// What is replaced must be typed out.
    private static func confirmReplacement(_ tables: [TablePattern], _ invocation: Invocation) throws -> Bool {
        if invocation.arguments.has("yes") { return true }
        guard isatty(0) == 1 else {
            throw Problem("cannot ask for confirmation without a terminal", hint: "Add --yes.")
        }
        let name = invocation.arguments.value("table") ?? tables[0].database
        writeToStandardOutput("The live tables will be replaced and kept as …_before_restore. Type \(name) to go on: ")
        return readLine(strippingNewline: true) == name
    }
}

/// Where recovered tables go, by the options.
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

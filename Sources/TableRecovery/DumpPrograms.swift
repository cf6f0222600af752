import Platform
import Postgres

/// `pg_dump` and `pg_restore` of the cluster's major version, used on a scratch cluster.
struct DumpPrograms {
    let binDirectory: String
    let majorVersion: Int
    let conninfo: String
    let database: String
    let user: String
    /// The database is of SQL_ASCII: it holds any bytes, and gives them as they are.
    let isUnencoded: Bool

    /// Of definitions.
    var encoding: String { "--encoding=" + (isUnencoded ? "SQL_ASCII" : "UTF8") }

    /// Dumps tables with their content into a file that exists already: fast, for somebody waits.
    func dumpContent(_ tables: [TableName], format: String, to file: String) throws {
        // Otherwise pg_dump takes the names for what they would be in the database's own encoding.
        let isPlain = tables.allSatisfy { $0.sql.utf8.allSatisfy { $0 < 0x80 } }
        let encoding = isPlain ? [] : [encoding]
        guard format == "custom" else { return try dump(tables, format: format, options: encoding, to: file) }
        do { try dump(tables, format: format, options: encoding + ["--compress=1"], to: file) } catch let failure
            as DumpFailure where failure.reason.contains("compress")
        {
            // Built without zlib.
            try dump(tables, format: format, options: encoding, to: file)
        }
    }

    /// Dumps tables into a file that exists already.
    func dump(_ tables: [TableName], format: String, options: [String] = [], to file: String) throws {
        // Without --strict-names, a table that isn't found is left out without a word.
        var arguments =
            ["--format=\(format)", "--file=\(file)", "--no-password", "--lock-wait-timeout=30s", "--strict-names"]
            + options
        for table in tables { arguments.append("--table=\(table.pattern)") }
        try finish(
            "pg_dump",
            arguments + [
                "--dbname=\(conninfo) user=\(ConnectionString.quoted(user)) dbname=\(ConnectionString.quoted(database))"
            ])
    }

    /// The lines of a dump's table of contents.
    func contents(of file: String) throws -> [String] {
        try finish("pg_restore", ["--list", file]).split(separator: "\n").map(String.init)
    }

    /// A part of a dump as SQL.
    func script(of file: String, list: String, options: [String]) throws -> String {
        let text = try finish("pg_restore", ["--file=-", "--use-list=\(list)"] + options + [file])
        // psql's \restrict and \unrestrict mean nothing to a server.
        return text.split(separator: "\n", omittingEmptySubsequences: false)
            .filter { !$0.hasPrefix("\\restrict") && !$0.hasPrefix("\\unrestrict") }.joined(separator: "\n")
    }

    @discardableResult
    private func finish(_ program: String, _ arguments: [String]) throws -> String {
        let path = binDirectory + "/" + program
        let finished = try run(path, arguments, environment: environment)
        guard finished.ending == .exited(0) else {
            // A working directory that can't be entered, as sudo leaves it, is complained of first (src/common/exec.c), and
            // isn't why the program failed.
            let lines = finished.errors.split(separator: "\n").filter {
                !$0.hasPrefix("could not change directory to ")
            }
            throw DumpFailure(program: program, reason: lines.suffix(6).joined(separator: " "))
        }
        return finished.output
    }

    private var environment: [String: String] {
        ServerEnvironment.own.merging(["PGOPTIONS": ScratchSettings.sessionOptions(majorVersion)]) { $1 }
    }
}

extension TableName {
    /// As pg_dump's `--table` wants it: exactly this name, whatever is in it.
    var pattern: String { sql }
}

import Platform
import Postgres

/// `pg_dump` and `pg_restore` of the cluster's major version, for a scratch cluster.
struct DumpPrograms {
    let binDirectory: String
    let majorVersion: Int
    let conninfo: String
    let database: String
    let user: String
    /// Whether the database has encoding SQL_ASCII: its text is any bytes, passed on unchanged.
    let isUnencoded: Bool

    /// The option for the encoding of definitions.
    var encoding: String { "--encoding=" + (isUnencoded ? "SQL_ASCII" : "UTF8") }

    /// Dumps tables with their content into an existing file, with fast compression, since the user waits.
    func dumpContent(_ tables: [TableName], format: String, to file: String) throws {
        // Otherwise pg_dump reads the names in the database's own encoding.
        let isPlain = tables.allSatisfy { $0.sql.utf8.allSatisfy { $0 < 0x80 } }
        let encoding = isPlain ? [] : [encoding]
        guard format == "custom" else { return try dump(tables, format: format, options: encoding, to: file) }
        do { try dump(tables, format: format, options: encoding + ["--compress=1"], to: file) } catch let failure
            as DumpFailure where failure.reason.contains("compress")
        {
            // pg_dump was built without zlib.
            try dump(tables, format: format, options: encoding, to: file)
        }
    }

    /// Dumps tables into an existing file.
    func dump(_ tables: [TableName], format: String, options: [String] = [], to file: String) throws {
        // Without --strict-names, a missing table is silently omitted.
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
        DumpPrograms.runnableSQL(
            try finish("pg_restore", ["--file=-", "--use-list=\(list)"] + options + [file]))
    }

    /// A script for a session that isn't psql's, and whose locks are waited for as long as it says.
    static func runnableSQL(_ script: String) -> String {
        var lines = script.split(separator: "\n", omittingEmptySubsequences: false)
        // psql's \restrict and \unrestrict are no SQL.
        lines.removeAll { $0.hasPrefix("\\restrict") || $0.hasPrefix("\\unrestrict") }
        if let line = lines.firstIndex(of: "SET lock_timeout = 0;") { lines.remove(at: line) }
        return lines.joined(separator: "\n")
    }

    @discardableResult
    private func finish(_ program: String, _ arguments: [String]) throws -> String {
        let path = binDirectory + "/" + program
        let finished = try run(path, arguments, environment: environment)
        guard finished.ending == .exited(0) else {
            // A working directory that can't be entered, as with sudo, is reported first (src/common/exec.c), and isn't
            // the reason for the failure.
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
    /// The pattern for pg_dump's `--table` that matches exactly this name.
    var pattern: String { sql }
}

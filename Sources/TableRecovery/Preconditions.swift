import Backups
import DataDirectory
import Glibc
import Planning
import Platform
import Postgres
import Recovery

/// Checks for errors that are foreseeable before anything is restored.
struct Preconditions {
    let request: TableRecoveryRequest
    let map: RelationMap

    init(_ request: TableRecoveryRequest, _ map: RelationMap) { (self.request, self.map) = (request, map) }

    func check() throws {
        guard !request.database.unicodeScalars.contains("\u{FFFD}") else {
            throw Problem(
                "cannot recover tables of database \"\(request.database)\": its name is not UTF-8",
                hint: "Recover the whole cluster into another directory, and use pg_dump there.")
        }
        try checkPrograms()
        try checkFiles()
        try HostRequirements(request, map).check()
        let live = request.needsLiveServer ? try connectLive() : nil
        if let live { try checkLive(live) }
    }

    private func connectLive() throws -> Connection {
        do { return try Connection.live(request) } catch {
            guard error.kind == .noSuchDatabase else { throw error }
            throw Problem(
                "database \"\(request.database)\" does not exist in the live cluster",
                hint: "Create it with CREATE DATABASE, or recover into a file with --to-file.")
        }
    }

    private func checkPrograms() throws {
        let major = request.plan.majorVersion
        for program in ["postgres", "pg_dump", "pg_restore"]
        where access("\(request.binDirectory)/\(program)", X_OK) != 0 {
            throw Problem(
                "PostgreSQL \(major)'s program \"\(program)\" is not in \"\(request.binDirectory)\"",
                detail: "A table is recovered by a temporary server of the cluster's own major version.",
                hint:
                    "Install the package postgresql-\(major) (Debian) or postgresql\(major)-server (Red Hat), or name "
                    + "the directory with --bin-directory.")
        }
    }

    private func checkFiles() throws {
        for case .file(let path, _) in request.destinations {
            try request.places?.check(file: path)
            // A link that leads nowhere takes the name, too.
            guard let status = try FileStatus(ofLinkItself: path) else { continue }
            let isLost = try status.kind == .symbolicLink && !Files.exists(path)
            throw Problem(
                "file \"\(path)\" already exists",
                detail: isLost ? "It is a symbolic link that leads to nothing." : nil,
                hint: "Name another file; nothing is overwritten.")
        }
    }

    private func checkLive(_ live: Connection) throws {
        if let own = request.liveIdentifiers, case let served = try live.systemIdentifier(), !own.contains(served) {
            throw Problem(
                "the server that \"conninfo\" leads to is another cluster's",
                detail: "Its system identifier is \(served), the cluster's "
                    + "\(own.sorted().map(String.init).joined(separator: " or ")).",
                hint: "Correct \"conninfo\". If the tables are meant for that server, name it with --conninfo.")
        }
        guard live.majorVersion >= request.plan.majorVersion else {
            throw Problem(
                "the live server is older than the backup",
                detail: "It is PostgreSQL \(live.majorVersion); the backup is of \(request.plan.majorVersion).")
        }
        if try live.isStandby() {
            throw Problem("the live server is a standby", hint: "Name the primary with --conninfo.")
        }
        try checkRights(live)
        for destination in request.destinations {
            if case .tables(let name?) = destination, try exists(name, live) {
                throw Problem(
                    "table \(name.quoted) already exists in database \"\(request.database)\"",
                    hint: "Name another one, or leave the name out; nothing is overwritten.")
            }
            if case .replacement = destination {
                for name in request.tables.compactMap(\.exactName) { try TableCopy.checkPlaceAside(name, live) }
            }
            if case .tables(nil) = destination {
                for pattern in request.tables {
                    guard let name = pattern.exactName?.appending(TableCopy.suffix(request.plan)) else { continue }
                    if try exists(name, live) {
                        throw Problem(
                            "table \(name.quoted) already exists in database \"\(request.database)\"",
                            detail: "It looks like the result of an earlier recovery to the same moment.",
                            hint: "Drop it, or name another with --into-table=schema.name.")
                    }
                }
            }
        }
    }

    /// Checks privileges on the live tables that would otherwise be missed only after all WAL was replayed.
    private func checkRights(_ live: Connection) throws {
        for name in request.tables.compactMap(\.exactName) {
            let rows = try live.query(
                """
                SELECT current_user, pg_get_userbyid(c.relowner), u.may AND pg_has_role(c.relowner, 'USAGE'),
                       u.may AND has_table_privilege(c.oid, 'SELECT'), u.may AND has_table_privilege(c.oid, 'INSERT')
                FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace,
                     LATERAL (SELECT has_schema_privilege(n.oid, 'USAGE')) u (may)
                WHERE n.nspname = $1 AND c.relname = $2
                """, [name.schema, name.name])
            guard let row = rows.values.first, let role = row[0], let owner = row[1] else { continue }
            let lacks = request.destinations.contains { destination in
                switch destination {
                case .replacement: row[2] != "t"
                case .comparison: row[3] != "t"
                case .missingRows: row[3] != "t" || row[4] != "t"
                case .file, .tables: false
                }
            }
            guard lacks else { continue }
            throw Problem(
                "role \(plainIdentifier(role)) lacks rights on table \(name.quoted)",
                detail: "It belongs to role \(plainIdentifier(owner)).",
                hint: "A superuser may give them: GRANT \(quotedIdentifier(owner)) TO \(quotedIdentifier(role));")
        }
    }

    private func exists(_ name: TableName, _ live: Connection) throws -> Bool {
        try live.query("SELECT to_regclass($1) IS NOT NULL", [name.sql]).scalar == "t"
    }
}

import BaseBackup
import Glibc
import Platform
import Postgres
import Recovery

/// What can be known to go wrong before anything is restored.
struct Preconditions {
    let request: TableRecoveryRequest
    let map: RelationMap

    init(_ request: TableRecoveryRequest, _ map: RelationMap) { (self.request, self.map) = (request, map) }

    func check() throws {
        try checkPrograms()
        try checkFiles()
        try HostRequirements(request, map).check()
        let live = request.needsLiveServer ? try connectLive() : nil
        if let live { try checkLive(live) }
    }

    private func connectLive() throws -> Connection {
        do { return try Connection(request.liveConninfo, database: request.database) } catch {
            guard error.kind == .noSuchDatabase else { throw error }
            throw Problem(
                "database \"\(request.database)\" does not exist in the live cluster",
                hint: "Make it with CREATE DATABASE, or recover into a file with --to-file.")
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
        for case .file(let path, _) in request.destinations where try Files.exists(path) {
            throw Problem("file \"\(path)\" already exists", hint: "Name another file; nothing is overwritten.")
        }
    }

    private func checkLive(_ live: Connection) throws {
        guard live.majorVersion >= request.plan.majorVersion else {
            throw Problem(
                "the live server is older than the backup",
                detail: "It is PostgreSQL \(live.majorVersion); the backup is of \(request.plan.majorVersion).")
        }
        if try live.isStandby() {
            throw Problem("the live server is a standby", hint: "Name the primary with --conninfo.")
        }
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

    private func exists(_ name: TableName, _ live: Connection) throws -> Bool {
        try live.query("SELECT to_regclass($1) IS NOT NULL", [name.sql]).scalar == "t"
    }
}

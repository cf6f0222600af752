import Backups
import Glibc
import Planning
import Platform
import Recovery

/// What this host needs for a server to open the database and read the tables, according to the backup: checked before
/// anything is restored, rather than after an hour of replay.
struct HostRequirements {
    private let request: TableRecoveryRequest
    private let map: RelationMap

    init(_ request: TableRecoveryRequest, _ map: RelationMap) { (self.request, self.map) = (request, map) }

    func check() throws {
        guard let database = map.databases.first(where: { $0.name == request.database }) else { return }
        if let locale = database.locale {
            for name in [locale.collation, locale.ctype] { try check(locale: name) }
            if locale.provider == "i" { try checkICU() }
        }
        try checkLibraries(database.oid)
    }

    /// A server sets both for every session (CheckMyDatabase, src/backend/utils/init/postinit.c).
    private func check(locale name: String) throws {
        guard let known = newlocale(LC_CTYPE_MASK | LC_COLLATE_MASK, name, nil) else {
            throw Problem(
                "this host does not know the locale \"\(name)\"",
                detail: "Database \"\(request.database)\" was created with it; no server here can open the database.",
                hint:
                    "Install it: \"localedef -i \(name.prefix { $0 != "." }) -f UTF-8 \(name)\", or the locales package."
            )
        }
        freelocale(known)
    }

    private func checkICU() throws {
        guard try !Host.hasICU(binDirectory: request.binDirectory) else { return }
        throw Problem(
            "the server programs in \"\(request.binDirectory)\" cannot use ICU",
            detail:
                "Database \"\(request.database)\" compares texts with ICU; no server without it can open the database.",
            hint: "Name programs that were built with ICU with --bin-directory.")
    }

    private func checkLibraries(_ database: UInt32) throws {
        let relations = map.relations.filter { $0.database == database }
        let wanted = FileSelection.wanted(by: request.tables, of: relations)
        for library in map.libraries where library.database == database && wanted.contains(library.relation) {
            guard let missing = missingPlace(of: library.path) else { continue }
            let table = relations.first { $0.oid == library.relation }.map {
                TableName(schema: $0.schema, name: $0.name)
            }
            throw Problem(
                "the library \"\(library.path)\" is missing on this host",
                detail:
                    "Table \"\(table?.description ?? "")\" needs it for its types or its storage. There is no \"\(missing)\".",
                hint: "Install the extension's package for PostgreSQL \(request.plan.majorVersion).")
        }
    }

    /// Where a library should be but isn't; nil when it exists, or when the library directory isn't known.
    private func missingPlace(of library: String) -> String? {
        var path = library
        if library.hasPrefix("$libdir/") {
            guard let directory = libraryDirectory else { return nil }
            path = directory + library.dropFirst(7)
        } else if !library.hasPrefix("/") {
            return nil
        }
        return access(path, R_OK) == 0 || access(path + ".so", R_OK) == 0 ? nil : path + ".so"
    }

    /// `$libdir`, found from the programs' directory as PostgreSQL does, and confirmed by a library that every server
    /// has.
    private var libraryDirectory: String? {
        let root = Files.parent(request.binDirectory)
        let candidates = ["lib", "lib/postgresql", "lib64", "lib64/postgresql", "lib/pgsql", "lib64/pgsql"]
        return candidates.map { "\(root)/\($0)" }.first { access($0 + "/libpqwalreceiver.so", R_OK) == 0 }
    }
}

import BackupVerification
import DataDirectory
import Glibc
import Platform
import Restoring
import SQLite
import Support
import WAL

@testable import Backups
@testable import Repository

/// A real backup of few files, whose manifest is changed value by value.
struct HostileManifest {
    private let site: TestSite
    private let store: DirectoryStore
    private let incarnation: Incarnation
    private var archive: ClusterArchive { ClusterArchive(incarnation, in: store) }
    private let backup: BackupDescription
    private let manifestFile: String
    /// The manifest as an SQLite file.
    private let intact: [UInt8]
    private let tables: [(name: String, columns: [String])]

    init() throws {
        site = try TestSite(initdb: ["--wal-segsize=1", "--data-checksums"])
        try runAsServerUser("/bin/mkdir", [site.scratch.file("space")])
        try site.cluster.psql("create tablespace s location '\(site.scratch.file("space"))'")
        try site.cluster.psql("create table t tablespace s as select generate_series(1, 5000)")
        try site.tidemark(["backup"], expectSuccess: true)
        try site.cluster.stop(mode: "immediate")
        let control = try ControlFile(dataDirectory: site.cluster.data)
        incarnation = Incarnation(cluster: "main", major: 15, systemIdentifier: control.systemIdentifier)
        store = DirectoryStore(site.repository)
        guard let backup = try ClusterArchive(incarnation, in: store).listBackups().complete.first else {
            throw Problem("no backup")
        }
        self.backup = backup
        manifestFile = "\(site.repository)/\(incarnation.backup(backup.label, Manifest.objectName))"

        let file = site.scratch.file("manifest")
        _ = try run("/usr/bin/zstd", ["-qdf", manifestFile, "-o", file])
        let database = try Database(file)
        // The remaining files make a restore take milliseconds.
        try database.execute(
            """
            DELETE FROM file WHERE kind = 'f' AND path NOT IN
                ('PG_VERSION', 'global/pg_control', 'backup_label', 'tablespace_map', 'postgresql.conf', 'base/5/1259', 'base/5/1249')
                AND path NOT LIKE 'pg_tblspc/%' OR path LIKE 'base/1%' OR path LIKE 'base/4%';
            DELETE FROM runs WHERE file NOT IN (SELECT id FROM file);
            DELETE FROM relation WHERE oid > 1300 AND name NOT LIKE 't';
            VACUUM;
            """)
        tables = try ["meta", "pack", "frame", "file", "runs", "database", "relation", "locale"].map { name in
            let rows = try database.prepare("SELECT name FROM pragma_table_info('\(name)')")
            var columns: [String] = []
            while try rows.step() { columns.append(rows.text(0)) }
            return (name, columns)
        }
        intact = try Files.read(file)
    }

    private static let values: [String] =
        Mutation.numbers.filter { Double($0) != nil && !$0.contains("F") }.map { $0.contains("e") ? "'\($0)'" : $0 } + [
            "NULL", "''", "'..'", "'../../x'", "'/'", "'pg_tblspc/1'", "'base'", "'t'", "'d'", "'f'", "x''", "x'00'",
            "zeroblob(16)", "zeroblob(100000)", "x'020b02'", "x'0503000200'", "x'03ffffffffffff7f00'", "list || x'00'",
            "char(0)", "char(27)", "random()", "1.5", "9007199254740993",
        ]

    /// A change of one to three values, rows, or of the schema.
    private func change(_ mutation: inout Mutation) -> String {
        (0...mutation.below(3)).map { _ in
            let (table, columns) = mutation.pick(tables)
            let column = mutation.pick(columns)
            // Sometimes all rows, mostly one.
            let which =
                mutation.below(6) == 0
                ? ""
                : " WHERE \(mutation.pick(columns)) IN (SELECT \(mutation.pick(columns)) FROM \(table) ORDER BY random() LIMIT 1)"
            switch mutation.below(12) {
            case 0: return "DELETE FROM \(table)\(which)"
            case 1:
                return "UPDATE OR REPLACE \(table) SET \(column) = \(column) + \(mutation.pick(Self.values))\(which)"
            case 2: return "UPDATE OR REPLACE \(table) SET \(column) = -\(column)\(which)"
            case 3: return "UPDATE OR REPLACE \(table) SET \(column) = \(mutation.pick(columns))\(which)"
            case 4 where mutation.below(8) == 0: return "DROP TABLE \(table)"
            case 5 where mutation.below(8) == 0: return "ALTER TABLE \(table) RENAME COLUMN \(column) TO x"
            case 6:
                let list = columns.map { $0 == column ? mutation.pick(Self.values) : $0 }.joined(separator: ", ")
                return "INSERT OR REPLACE INTO \(table) SELECT \(list) FROM \(table)\(which)"
            default: return "UPDATE OR REPLACE \(table) SET \(column) = \(mutation.pick(Self.values))\(which)"
            }
        }.joined(separator: ";\n")
    }

    /// - Returns: how many of the changed backups could be restored, and how many were refused.
    func attack(_ cases: Int) throws -> (restored: Int, refused: Int) {
        var counts = (restored: 0, refused: 0)
        let place = try Scratch()
        let (file, witness) = (place.file("manifest"), "/var/tmp/tidemark-hostile-\(getpid())-manifest")
        var compressor = try Compressor(level: 1)
        var packed = [UInt8](repeating: 0, count: Compressor.bound(intact.count * 4))
        for number in 0...cases {
            var mutation = Mutation(seed: UInt64(number))
            // The first is unchanged.
            let statements = number == 0 ? "" : change(&mutation)
            try overwrite(witness, Array(statements.utf8))
            try overwrite(file, intact)
            try apply(statements, to: file)
            let bytes = try Files.read(file)
            guard bytes.count <= intact.count * 4 else { continue }
            let length = try packed.withUnsafeMutableBytes { room in
                try bytes.withUnsafeBytes { try compressor.compress($0, into: room) }
            }
            try overwrite(manifestFile, Array(packed[..<length]))
            if try read(in: place, number) { counts.restored += 1 } else { counts.refused += 1 }
        }
        try Files.remove(witness)
        return counts
    }

    private func apply(_ statements: String, to file: String) throws {
        let database = try Database(file)
        try database.execute("PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF")
        // A constraint may reject it.
        for statement in statements.split(separator: ";\n") { try? database.execute(String(statement)) }
    }

    private func overwrite(_ path: String, _ bytes: [UInt8]) throws {
        let file = try Descriptor(open: path, O_WRONLY | O_CREAT | O_TRUNC, mode: 0o600)
        try bytes.withUnsafeBytes { try file.write($0, path: path) }
    }

    /// All code that reads a manifest.
    private func read(in place: Scratch, _ number: Int) throws -> Bool {
        _ = try? verifyBackup(backup, of: archive, request: VerifyRequest(jobs: 1, includesWAL: false))
        _ = try? RelationMap(of: backup.label, of: archive)
        _ = try? backupContents(backup.label, of: archive, limit: 10)
        let target = place.file("data")
        var request = RestoreRequest(
            target: target, jobs: 1,
            tablespaceMapping: [backup.tablespaces.first?.location ?? "": place.file("space")])
        request.isThrowaway = number % 4 != 0
        if number % 8 == 0 { request.selection = { path, _ in path.utf8.count % 3 == 0 ? .hole : .whole } }
        if number % 3 == 0 { request.reserve = 1 << 20 }
        defer {
            try? Files.removeTree(target)
            try? Files.removeTree(place.file("space"))
        }
        do {
            _ = try restoreBackup(backup, of: archive, request: request)
            return true
        } catch {
            return false
        }
    }
}

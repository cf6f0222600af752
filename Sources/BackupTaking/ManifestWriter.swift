import Backups
import DataDirectory
import Glibc
import Platform
import Repository
import SQLite

/// Collects a backup's manifest and stores it at the end. For one thread.
///
/// All data whose size grows with the number of files is in the manifest itself, on disk.
final class ManifestWriter {
    private let file: NamelessDatabase
    var database: Database { file.database }
    private let insertFile: Statement
    private let insertFrame: Statement
    private let insertRun: Statement
    private let insertChange: Statement
    private let setDigest: Statement
    private var fileCount = 0

    init() throws {
        file = try NamelessDatabase(schema: Manifest.schema)
        let database = file.database
        try database.execute(ManifestWriter.collection)
        insertFile = try database.prepare("INSERT INTO file VALUES (?, ?, ?, ?, ?, ?, ?, ?)")
        insertFrame = try database.prepare("INSERT OR IGNORE INTO temp.copied VALUES (?, ?, ?, ?, ?, ?)")
        insertRun = try database.prepare("INSERT INTO temp.run VALUES (?, ?, ?, ?, ?)")
        setDigest = try database.prepare("UPDATE file SET digest = ? WHERE id = ?")
        insertChange = try database.prepare(
            "INSERT INTO change VALUES (?, ?) ON CONFLICT DO UPDATE SET vanished = max(vanished, excluded.vanished)")
        try database.execute("BEGIN")
    }

    /// Tables for data from which the manifest's rows are made at the end: frames and runs; and files that changed
    /// while they were copied.
    private static let collection = """
        CREATE TEMP TABLE copied (id INTEGER PRIMARY KEY, pack INTEGER NOT NULL, offset INTEGER NOT NULL,
            length INTEGER NOT NULL, size INTEGER NOT NULL, digest BLOB NOT NULL);
        CREATE TEMP TABLE run (frame INTEGER NOT NULL, frame_offset INTEGER NOT NULL, file INTEGER NOT NULL,
            offset INTEGER NOT NULL, length INTEGER NOT NULL, PRIMARY KEY (file, offset)) WITHOUT ROWID;
        CREATE TEMP TABLE change (file INTEGER PRIMARY KEY, vanished INTEGER NOT NULL);
        """

    /// - Returns: the file's number, counting from 0.
    @discardableResult
    func add(_ file: ManifestFile) throws -> Int {
        try insertFile.bind(1, Int64(fileCount))
        try insertFile.bind(2, file.path)
        try insertFile.bind(3, file.kind.rawValue)
        try insertFile.bind(4, Int64(file.mode))
        try insertFile.bind(5, file.modified)
        try insertFile.bind(6, file.size)
        if let target = file.target { try insertFile.bind(7, target) } else { try insertFile.bindNull(7) }
        if let digest = file.digest ?? file.expectedDigest {
            try digest.bytes.withUnsafeBytes { try insertFile.bind(8, blob: $0) }
        } else {
            try insertFile.bindNull(8)
        }
        _ = try insertFile.step()
        fileCount += 1
        return fileCount - 1
    }

    func add(_ batch: CopyBatch) throws {
        for frame in batch.frames {
            try insertFrame.bind(1, frame.id)
            try insertFrame.bind(2, Int64(frame.pack))
            try insertFrame.bind(3, Int64(frame.frame.offset))
            try insertFrame.bind(4, Int64(frame.frame.length))
            try insertFrame.bind(5, Int64(frame.frame.size))
            try frame.frame.digest.bytes.withUnsafeBytes { try insertFrame.bind(6, blob: $0) }
            _ = try insertFrame.step()
        }
        for (frame, run) in batch.runs { try add(run, in: frame) }
        for (file, digest) in batch.digests {
            if let digest {
                try digest.bytes.withUnsafeBytes { try setDigest.bind(1, blob: $0) }
            } else {
                try setDigest.bindNull(1)
            }
            try setDigest.bind(2, Int64(file))
            _ = try setDigest.step()
        }
        for index in batch.resized { try insertChange.run(index, 0) }
        for index in batch.vanished { try insertChange.run(index, 1) }
    }

    private func add(_ run: ManifestRun, in frame: Int64) throws {
        try insertRun.bind(1, frame)
        try insertRun.bind(2, run.frameOffset)
        try insertRun.bind(3, Int64(run.file))
        try insertRun.bind(4, run.offset)
        try insertRun.bind(5, run.length)
        _ = try insertRun.step()
    }

    /// Gives files that changed the sizes that were copied, removes those that vanished, numbers the frames, writes the
    /// lists of runs, and creates the indexes.
    ///
    /// - Returns: the number of regular files, and their total size in bytes.
    func finishFiles() throws -> (count: Int, size: Int64) {
        try database.execute(Manifest.indexes)
        let changes = try database.prepare("SELECT file, vanished FROM temp.change")
        let resize = try database.prepare("UPDATE file SET size = ? WHERE id = ?")
        var hasOrphans = false
        while try changes.step() {
            let index = Int(changes.integer(0))
            if changes.integer(1) == 1 {
                // A file may vanish between two of its parts; the parts copied before are dropped.
                try database.run("DELETE FROM temp.run WHERE file = ?", index)
                hasOrphans = hasOrphans || database.changes > 0
                try database.run("DELETE FROM file WHERE id = ?", index)
            } else {
                try resize.run(Int(try fillGaps(of: index)), index)
            }
        }
        if hasOrphans {
            try database.execute("DELETE FROM temp.copied WHERE id NOT IN (SELECT frame FROM temp.run)")
        }
        try countFrames()
        try writeLists()
        return try regularFiles()
    }

    /// Gives frames their final numbers, from 1.
    private func countFrames() throws {
        try database.execute(
            """
            CREATE TEMP TABLE rank (id INTEGER PRIMARY KEY, number INTEGER NOT NULL);
            INSERT INTO temp.rank SELECT id, row_number() OVER (ORDER BY id) FROM temp.copied;
            INSERT INTO main.frame SELECT number, pack, offset, length, size, digest
                FROM temp.rank JOIN temp.copied USING (id) ORDER BY id;
            """)
    }

    private func writeLists() throws {
        let rows = try database.prepare(
            """
            SELECT file, offset, length, frame_offset, CASE frame WHEN \(Manifest.zeros) THEN frame ELSE number END
            FROM temp.run LEFT JOIN temp.rank ON id = frame ORDER BY file, offset
            """)
        let insert = try database.prepare("INSERT INTO main.runs VALUES (?, ?)")
        var (file, runs): (Int64?, [StoredRun]) = (nil, [])
        func write() throws {
            guard let file else { return }
            try insert.bind(1, file)
            try RunList.encode(runs).withUnsafeBytes { try insert.bind(2, blob: $0) }
            _ = try insert.step()
        }
        while try rows.step() {
            if file != rows.integer(0) {
                try write()
                (file, runs) = (rows.integer(0), [])
            }
            let run = StoredRun(
                offset: rows.integer(1), length: rows.integer(2), frame: rows.integer(4), frameOffset: rows.integer(3))
            let reach = runs.last.map { $0.offset + $0.length } ?? 0
            guard !rows.isNull(4), run.offset == reach, run.length > 0 else {
                throw Problem("what was copied of file \(rows.integer(0)) does not add up to its content")
            }
            runs.append(run)
        }
        try write()
    }

    /// The numbers of the packs to which the manifest refers; called when the files are finished.
    func referredPacks() throws -> [Int] {
        let rows = try database.prepare("SELECT DISTINCT pack FROM main.frame ORDER BY pack")
        var packs: [Int] = []
        while try rows.step() { packs.append(Int(rows.integer(0))) }
        return packs
    }

    func regularFiles() throws -> (count: Int, size: Int64) { try Manifest.regularFiles(in: database) }

    /// Fills the gaps in a file that shrank and grew again while it was copied with zeros, until WAL is replayed.
    ///
    /// - Returns: the file's size.
    private func fillGaps(of index: Int) throws -> Int64 {
        let rows = try database.prepare("SELECT offset, length FROM temp.run WHERE file = ? ORDER BY offset")
        try rows.bind(1, Int64(index))
        var position: Int64 = 0
        var gaps: [ManifestRun] = []
        while try rows.step() {
            let offset = rows.integer(0)
            if offset > position {
                gaps.append(ManifestRun(file: index, offset: position, length: offset - position, frameOffset: 0))
            }
            position = max(position, offset + rows.integer(1))
        }
        for gap in gaps { try add(gap, in: Manifest.zeros) }
        return position
    }

    /// Nil for a file that vanished.
    func path(of index: Int) throws -> String? { try database.text("SELECT path FROM file WHERE id = ?", index) }

    /// Total size in bytes of the files in a directory and below it. Fast once the files are finished.
    func size(below directory: String) throws -> Int64 {
        // "0" is the character after "/".
        try database.integer(
            "SELECT sum(size) FROM file WHERE path > ? AND path < ?", directory + "/", directory + "0") ?? 0
    }

    func add(packs: [Int: ManifestPack]) throws {
        let insert = try database.prepare("INSERT INTO pack VALUES (?, ?, ?, ?, ?, ?)")
        for (id, pack) in packs {
            try insert.run(id, pack.label, pack.name.number, pack.name.word, pack.size, pack.digest.bytes)
        }
    }

    func add(_ rows: [RelationMap.DatabaseRow]) throws {
        let databases = try database.prepare("INSERT INTO database VALUES (?, ?, ?, ?)")
        for row in rows { try databases.run(row.oid, row.name, row.tablespace, row.isConnectable ? 1 : 0) }
        let locales = try database.prepare("INSERT INTO locale VALUES (?, ?, ?, ?)")
        for row in rows {
            if let locale = row.locale {
                try locales.run(row.oid, locale.collation, locale.ctype, locale.provider)
            }
        }
    }

    func add(_ rows: [RelationMap.RelationRow]) throws {
        let relations = try database.prepare(
            "INSERT OR IGNORE INTO relation VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)")
        for row in rows {
            try relations.run(
                row.database, row.oid, row.fileNode, row.tablespace, row.schema, row.name, row.kind, row.persistence,
                row.toast, row.indexOf, row.partitionOf, row.accessMethod)
        }
    }

    func add(_ rows: [RelationMap.SchemaRow]) throws {
        let schemas = try database.prepare("INSERT OR IGNORE INTO schema VALUES (?, ?, ?)")
        for row in rows { try schemas.run(row.database, row.oid, row.name) }
    }

    func add(_ rows: [RelationMap.LibraryRow]) throws {
        let libraries = try database.prepare("INSERT OR IGNORE INTO library VALUES (?, ?, ?)")
        for row in rows { try libraries.run(row.database, row.relation, row.path) }
    }

    /// `database.schema.relation` of a file; nil when no relation has it. Fast once the files are finished.
    func relationName(of path: String) throws -> String? {
        guard let name = PageCheck.covers(path) else { return nil }
        let parts = path.split(separator: "/")
        let number: UInt32?
        switch parts.first {
        case "global": number = 0
        case "base": number = parts.count > 1 ? UInt32(parts[1]) : nil
        default: number = parts.count > 3 ? UInt32(parts[3]) : nil
        }
        guard let number,
            let relation = try database.text(
                "SELECT schema || '.' || name FROM relation WHERE database = ? AND filenode = ?", number, name.fileNode)
        else { return nil }
        let prefix = try database.text("SELECT name FROM database WHERE oid = ?", number).map { $0 + "." } ?? ""
        return prefix + relation
    }

    func add(meta: [String: String]) throws {
        for (name, value) in meta { try database.run("INSERT INTO meta VALUES (?, ?)", name, value) }
    }

    /// Stores the manifest; returns its size in the repository in bytes.
    func store(as key: RepositoryKey, in store: any ObjectStore, compressLevel: Int) throws -> Int64 {
        try database.execute("COMMIT")
        let size = try file.descriptor.status(path: file.path).size
        var stored: Int64 = 0
        try store.create(key) { append in
            var compressor = try Compressor(level: compressLevel)
            try compressor.begin(size: UInt64(size))
            let window = UnsafeMutableRawBufferPointer.allocate(byteCount: 256 << 10, alignment: 4096)
            defer { window.deallocate() }
            var offset: Int64 = 0
            repeat {
                let count = try file.descriptor.read(into: window, at: offset, path: file.path)
                offset += Int64(count)
                try compressor.feed(UnsafeRawBufferPointer(rebasing: window[..<count]), last: offset >= size) {
                    stored += Int64($0.count)
                    try append($0)
                }
                if count == 0 { break }
            } while offset < size
        }
        return stored
    }
}

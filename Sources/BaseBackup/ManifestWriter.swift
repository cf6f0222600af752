import DataDirectory
import Glibc
import Platform
import Repository
import SQLite

/// Collects a backup's manifest while it runs and stores it at the end. One thread.
final class ManifestWriter {
    private let file: NamelessDatabase
    private var database: Database { file.database }
    private let insertFrame: Statement
    private let insertRun: Statement
    /// How far each file reaches, and how many of its bytes have runs.
    private var reach: [Int64]
    private var covered: [Int64]
    private var gone: Set<Int> = []
    private(set) var packs: Set<Int> = []

    init(fileCount: Int) throws {
        file = try NamelessDatabase(schema: Manifest.schema)
        insertFrame = try file.database.prepare("INSERT OR IGNORE INTO frame VALUES (?, ?, ?, ?, ?, ?)")
        insertRun = try file.database.prepare("INSERT INTO run VALUES (?, ?, ?, ?, ?)")
        reach = Array(repeating: 0, count: fileCount)
        covered = reach
        try database.execute("BEGIN")
    }

    func add(_ batch: CopyBatch) throws {
        for frame in batch.frames {
            packs.insert(frame.pack)
            try insertFrame.bind(1, frame.id)
            try insertFrame.bind(2, Int64(frame.pack))
            try insertFrame.bind(3, Int64(frame.frame.offset))
            try insertFrame.bind(4, Int64(frame.frame.length))
            try insertFrame.bind(5, Int64(frame.frame.size))
            try frame.frame.digest.bytes.withUnsafeBytes { try insertFrame.bind(6, blob: $0) }
            _ = try insertFrame.step()
        }
        for (frame, run) in batch.runs { try add(run, in: frame) }
        gone.formUnion(batch.vanished)
    }

    private func add(_ run: ManifestRun, in frame: Int64) throws {
        reach[run.file] = max(reach[run.file], run.offset + run.length)
        covered[run.file] += run.length
        try insertRun.bind(1, frame)
        try insertRun.bind(2, run.frameOffset)
        try insertRun.bind(3, Int64(run.file))
        try insertRun.bind(4, run.offset)
        try insertRun.bind(5, run.length)
        _ = try insertRun.step()
    }

    /// Writes the files' rows, now that their sizes are known.
    ///
    /// - Returns: how many regular files there are, and their bytes.
    func finishFiles(_ files: FileList) throws -> (count: Int, size: Int64) {
        let insert = try database.prepare("INSERT INTO file VALUES (?, ?, ?, ?, ?, ?, ?)")
        var count = 0
        var total: Int64 = 0
        for case (let index, let file?) in files.enumerated() where !gone.contains(index) {
            if covered[index] < reach[index] { try fillGaps(of: index) }
            try insert.bind(1, Int64(index))
            try insert.bind(2, file.path)
            try insert.bind(3, file.kind.rawValue)
            try insert.bind(4, Int64(file.mode))
            try insert.bind(5, file.modified)
            try insert.bind(6, reach[index])
            if let target = file.target { try insert.bind(7, target) } else { try insert.bindNull(7) }
            _ = try insert.step()
            if file.kind == .regular { count += 1 }
            total += reach[index]
        }
        // A file may vanish between two of its stretches; what was copied of it before belongs to nothing.
        for index in gone where covered[index] > 0 {
            try database.run("DELETE FROM run WHERE file = ?", index)
        }
        return (count, total)
    }

    /// A file that shrank and grew again while it was copied: what lies between is zeros until WAL fills it.
    private func fillGaps(of index: Int) throws {
        let rows = try database.prepare("SELECT offset, length FROM run WHERE file = ? ORDER BY offset")
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
    }

    func add(packs: [Int: (label: String, number: Int)]) throws {
        let insert = try database.prepare("INSERT INTO pack VALUES (?, ?, ?)")
        for (id, pack) in packs { try insert.run(id, pack.label, pack.number) }
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

    func add(_ rows: [RelationMap.LibraryRow]) throws {
        let libraries = try database.prepare("INSERT OR IGNORE INTO library VALUES (?, ?, ?)")
        for row in rows { try libraries.run(row.database, row.relation, row.path) }
    }

    /// `database.schema.relation` of a file; nil when no row knows it. Quick once the manifest is stored.
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

    /// Makes the indexes and stores the manifest; returns its bytes in the repository.
    func store(as key: RepositoryKey, in store: any ObjectStore, compressLevel: Int) throws -> Int64 {
        try database.execute(Manifest.indexes)
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

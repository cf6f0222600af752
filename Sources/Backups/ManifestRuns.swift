import Platform
public import Repository
import SQLite

/// The lists of runs, which describe the files' content. Only `decode` reads a list.
extension ManifestReader {
    private func decode(_ list: [UInt8], of path: String, _ body: (StoredRun) throws -> Void) throws {
        do {
            var decoder = try RunList.Decoder(list)
            while let run = try decoder.next() { try body(run) }
        } catch let bad as BadRunList {
            throw damaged("the list of runs of \(path) \(bad.reason)")
        }
    }

    /// Calls `body` with every file's list; the list is empty for a file without content, and the file nil for a list
    /// without one.
    private func forEachList(_ body: (_ index: Int64, ManifestFile?, _ list: [UInt8]) throws -> Void) throws {
        let list = "CASE WHEN length(list) > \(RunList.largest) THEN x'00' ELSE list END"
        let rows = try database.prepare(
            """
            SELECT file.id, \(list), \(ManifestReader.fileColumns)
            FROM file LEFT JOIN runs ON runs.file = file.id ORDER BY file.id
            """)
        while try rows.step() {
            let index = Int64(try number(rows.integer(0)))
            try body(index, try file(rows, from: 2), rows.isNull(1) ? [] : rows.blob(1))
        }
        let others = try database.prepare(
            "SELECT runs.file, \(list) FROM runs WHERE NOT EXISTS (SELECT 1 FROM file WHERE id = runs.file)")
        while try others.step() { try body(others.integer(0), nil, others.blob(1)) }
    }

    /// Sorts the runs of files in the order of the packs. They are kept in a temporary table in the manifest's
    /// database, because there may be hundreds of millions.
    ///
    /// - Parameter isWanted: the files whose runs to take; nil stands for a file that isn't in the manifest.
    public func sortedRuns(where isWanted: (ManifestFile?) throws -> Bool = { _ in true }) throws -> SortedRuns {
        try database.execute(
            """
            PRAGMA temp_store = FILE;
            DROP TABLE IF EXISTS temp.run;
            CREATE TEMP TABLE run (frame INTEGER NOT NULL, place INTEGER NOT NULL, file INTEGER NOT NULL,
                offset INTEGER NOT NULL, length INTEGER NOT NULL);
            BEGIN
            """)
        do {
            let insert = try database.prepare("INSERT INTO temp.run VALUES (?, ?, ?, ?, ?)")
            try forEachList { index, file, list in
                guard !list.isEmpty, try isWanted(file) else { return }
                try decode(list, of: file.map { "file \"\($0.path)\"" } ?? "an unknown file") { run in
                    try insert.bind(1, run.frame)
                    try insert.bind(2, run.frameOffset)
                    try insert.bind(3, index)
                    try insert.bind(4, run.offset)
                    try insert.bind(5, run.length)
                    _ = try insert.step()
                }
            }
            // With all columns, so that the table itself isn't read; it is created by sorting, which takes no memory.
            try database.execute(
                "CREATE INDEX temp.run_in_order ON run (frame, place, file, offset, length); COMMIT")
        } catch {
            try? database.execute("ROLLBACK")
            throw error
        }
        return SortedRuns(manifest: self)
    }

    /// Calls `body` with files whose runs do not make up their content, and with nil for runs without a file.
    public func forEachIncompleteFile(_ body: (_ path: String?) throws -> Void) throws {
        try forEachList { _, file, list in
            guard let file else { return try body(nil) }
            var reach: Int64 = 0
            let isSound = list.isEmpty || (try? decode(list, of: "") { reach += $0.length }) != nil
            let isComplete = file.kind == .regular ? reach == file.size : list.isEmpty
            if !isSound || !isComplete { try body(file.path) }
        }
    }

    /// Bytes of zeros, which are not stored.
    public func zeros() throws -> Int64 {
        var sum: Int64 = 0
        try forEachList { _, file, list in
            guard !list.isEmpty, let file else { return }
            try decode(list, of: "file \"\(file.path)\"") { if $0.frame == Manifest.zeros { sum += $0.length } }
            guard sum <= BackupDescription.largest else { throw damaged("the files are larger than any cluster") }
        }
        return sum
    }

    /// The whole content of a small file; nil when the backup has none of that name.
    public func content(of path: String, archive: ClusterArchive, limit: Int64 = 16 << 20) throws -> [UInt8]? {
        let row = try database.prepare(
            "SELECT size, list FROM file LEFT JOIN runs ON runs.file = file.id WHERE path = ?")
        try row.bind(1, path)
        guard try row.step(), (0...limit).contains(row.integer(0)) else { return nil }
        let (size, list) = (row.integer(0), row.isNull(1) ? [] : row.blob(1))
        var bytes: [UInt8] = []
        var decompressor = try Decompressor()
        if !list.isEmpty {
            try decode(list, of: "file \"\(path)\"") { run in
                guard run.length <= size - run.offset else {
                    throw damaged("file \"\(path)\" has a run beyond its end")
                }
                if run.frame == Manifest.zeros {
                    bytes += [UInt8](repeating: 0, count: Int(run.length))
                } else {
                    bytes += try content(of: run, archive, with: &decompressor)
                }
            }
        }
        guard bytes.count == size else { throw damaged("the runs of file \"\(path)\" do not add up to its content") }
        return bytes
    }

    private func content(
        of run: StoredRun, _ archive: ClusterArchive, with decompressor: inout Decompressor
    ) throws -> [UInt8] {
        let row = try database.prepare("SELECT pack, offset, length, size, digest FROM frame WHERE id = ?")
        try row.bind(1, run.frame)
        guard try row.step() else { throw damaged("a run lies in frame \(run.frame), which it doesn't have") }
        let frame = try frame(row, from: 1)
        guard let place = packs[Int(row.integer(0))] else {
            throw Problem("the manifest of backup \"\(label)\" names an unknown pack")
        }
        var content = [UInt8](repeating: 0, count: Int(frame.size))
        var buffer = [UInt8](repeating: 0, count: Int(frame.length))
        let pack = try archive.pack(place.label, place.name)
        try content.withUnsafeMutableBytes { content in
            try buffer.withUnsafeMutableBytes {
                try pack.extract(frame, with: &decompressor, buffer: $0, content: content)
            }
        }
        guard run.frameOffset + run.length <= content.count else { throw damaged("a run leads out of its frame") }
        return Array(content[Int(run.frameOffset)..<Int(run.frameOffset + run.length)])
    }

    /// - Parameter column: where the columns `offset, length, size, digest` begin.
    fileprivate func frame(_ row: Statement, from column: Int32) throws -> PackFrame {
        let (offset, length, size) = (row.integer(column), row.integer(column + 1), row.integer(column + 2))
        let digest = row.blob(column + 3)
        let sizes = 0...RunList.largestFrame
        guard offset >= 0, sizes.contains(length), sizes.contains(size), digest.count == 16 else {
            throw damaged("a frame has an impossible place or size")
        }
        return PackFrame(
            offset: UInt64(offset), length: UInt32(length), size: UInt32(size), digest: Digest(bytes: digest))
    }
}

/// Runs in the order of the packs.
public struct SortedRuns {
    fileprivate let manifest: ManifestReader

    /// Calls `body` with every frame and its runs, pack by pack and front to back.
    public func forEachFrame(_ body: (_ pack: Int, PackFrame, [FileRun]) throws -> Void) throws {
        let rows = try manifest.database.prepare(
            """
            SELECT r.frame, f.pack, f.offset, f.length, f.size, f.digest, r.file, r.offset, r.length, r.place, \
            \(ManifestReader.fileColumns)
            FROM temp.run r LEFT JOIN frame f ON f.id = r.frame LEFT JOIN file ON file.id = r.file
            WHERE r.frame > \(Manifest.zeros) ORDER BY r.frame, r.place, r.file, r.offset
            """)
        var current: (id: Int64, pack: Int, frame: PackFrame)?
        var runs: [FileRun] = []
        var last: FileRun?
        while try rows.step() {
            let id = rows.integer(0)
            if current?.id != id {
                if let current { try body(current.pack, current.frame, runs) }
                guard !rows.isNull(1) else {
                    throw manifest.damaged("a run lies in frame \(id), which it doesn't have")
                }
                runs = []
                current = (id, Int(rows.integer(1)), try manifest.frame(rows, from: 2))
            }
            let run = try run(rows, from: 6, after: last)
            runs.append(run)
            last = run
        }
        if let current { try body(current.pack, current.frame, runs) }
    }

    /// Calls `body` with every range of zeros, which has no frame.
    public func forEachZeroRun(_ body: (FileRun) throws -> Void) throws {
        let rows = try manifest.database.prepare(
            """
            SELECT r.file, r.offset, r.length, r.place, \(ManifestReader.fileColumns)
            FROM temp.run r LEFT JOIN file ON file.id = r.file
            WHERE r.frame = \(Manifest.zeros) ORDER BY r.place, r.file, r.offset
            """)
        var last: FileRun?
        while try rows.step() {
            let run = try run(rows, from: 0, after: last)
            try body(run)
            last = run
        }
    }

    /// - Parameter column: where the columns `r.file, r.offset, r.length, r.place` begin; the file's follow.
    private func run(_ row: Statement, from column: Int32, after last: FileRun?) throws -> FileRun {
        let run = ManifestRun(
            file: Int(row.integer(column)), offset: row.integer(column + 1), length: row.integer(column + 2),
            frameOffset: row.integer(column + 3))
        // Consecutive runs are mostly of the same large file.
        if let last, last.run.file == run.file { return FileRun(run: run, file: last.file) }
        let isKnown = ManifestReader.numbers.contains(row.integer(column)) && !row.isNull(column + 4)
        return FileRun(run: run, file: isKnown ? try manifest.file(row, from: column + 4) : nil)
    }
}

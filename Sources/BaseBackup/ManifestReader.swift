import Glibc
import Platform
import Repository
import SQLite

/// A backup's manifest, fetched from the repository.
final class ManifestReader {
    private let file: NamelessDatabase
    var database: Database { file.database }
    let label: String
    private let key: RepositoryKey
    /// The manifest's packs by their number in it.
    let packs: [Int: ManifestPack]

    /// - Throws: `ObjectDamaged` when it is not the manifest of this backup.
    init(_ label: String, of archive: ClusterArchive) throws {
        let key = archive.incarnation.backup(label, Manifest.objectName)
        self.label = label
        self.key = key
        let object = try archive.store.open(key)
        do {
            file = try NamelessDatabase { try ManifestReader.decompress(object, into: $0, $1) }
            let database = file.database
            guard try database.text("SELECT value FROM meta WHERE name = 'format'") == Manifest.format else {
                throw UnsupportedFormat(key: key)
            }
            guard try database.text("SELECT value FROM meta WHERE name = 'label'") == label else {
                throw ObjectDamaged(key: key, "It is the manifest of another backup.")
            }
            var packs: [Int: ManifestPack] = [:]
            let rows = try database.prepare("SELECT id, label, number, word, size, digest FROM pack")
            while try rows.step() {
                let (label, size, digest) = (rows.text(1), rows.integer(4), rows.blob(5))
                guard RepositoryKey.isPart(label), let name = PackName(number: rows.integer(2), word: rows.text(3)),
                    (0...BackupDescription.largest).contains(size), digest.count == 16
                else {
                    throw ObjectDamaged(
                        key: key, "It names pack \(rows.integer(2)) of \"\(label)\", which can't be.")
                }
                packs[Int(rows.integer(0))] = ManifestPack(
                    label: label, name: name, size: size, digest: Digest(bytes: digest))
            }
            self.packs = packs
        } catch let error as DatabaseError {
            throw ObjectDamaged(key: key, "SQLite says: \(error.reason).")
        } catch let error as CodecError {
            throw ObjectDamaged(key: key, "zstd says: \(error.reason).")
        }
    }

    private static func decompress(_ object: any StoredObject, into file: borrowing Descriptor, _ path: String) throws {
        var decompressor = try Decompressor()
        let input = UnsafeMutableRawBufferPointer.allocate(byteCount: 256 << 10, alignment: 4096)
        let window = UnsafeMutableRawBufferPointer.allocate(byteCount: 256 << 10, alignment: 4096)
        defer {
            input.deallocate()
            window.deallocate()
        }
        try decompressor.begin()
        var offset: Int64 = 0
        var isComplete = false
        while !isComplete {
            let count = try object.read(into: input, at: offset)
            guard count > 0 else { throw ObjectDamaged(key: object.key, "It ends within the compressed manifest.") }
            let step = try decompressor.feed(UnsafeRawBufferPointer(rebasing: input[..<count]), window: window) {
                try file.write($0, path: path)
            }
            offset += Int64(step.used)
            isComplete = step.complete
        }
    }

    /// Which files to go through.
    enum FileKinds: String {
        case all = ""
        case regular = "WHERE kind = 'f'"
        /// Directories and tablespaces.
        case directories = "WHERE kind <> 'f'"
    }

    /// Hands every file with its number to `body`, in the order of their numbers.
    func forEachFile(_ kinds: FileKinds = .all, _ body: (_ index: Int, ManifestFile) throws -> Void) throws {
        let rows = try database.prepare(
            "SELECT id, path, kind, mode, modified, size, target FROM file \(kinds.rawValue) ORDER BY id")
        while try rows.step() { try body(try number(rows.integer(0)), try file(rows, from: 1)) }
    }

    func regularFiles() throws -> (count: Int, size: Int64) { try Manifest.regularFiles(in: database) }

    /// Nil when the backup has no such file.
    func file(at path: String) throws -> ManifestFile? {
        let row = try database.prepare("SELECT path, kind, mode, modified, size, target FROM file WHERE path = ?")
        try row.bind(1, path)
        return try row.step() ? try file(row, from: 0) : nil
    }

    private func file(_ row: Statement, from column: Int32) throws -> ManifestFile {
        guard let kind = ManifestFile.Kind(rawValue: row.text(column + 1)) else {
            throw Problem(
                "the manifest of backup \"\(label)\" has a file of unknown kind \"\(row.text(column + 1))\"")
        }
        let file = ManifestFile(
            path: row.text(column), kind: kind, mode: UInt32(truncatingIfNeeded: row.integer(column + 2)),
            modified: row.integer(column + 3), size: row.integer(column + 4),
            target: row.isNull(column + 5) ? nil : row.text(column + 5))
        if let objection = file.objection { throw damaged(objection) }
        return file
    }

    func damaged(_ reason: String) -> ObjectDamaged { ObjectDamaged(key: key, "In it, \(reason).") }

    /// That files and packs may have.
    private static let numbers: Range<Int64> = 0..<1 << 32

    private func number(_ id: Int64) throws -> Int {
        guard ManifestReader.numbers.contains(id) else {
            throw Problem("the manifest of backup \"\(label)\" has a file with the impossible number \(id)")
        }
        return Int(id)
    }

    /// Of a run and its file, from these columns on: `r.file, r.offset, r.length, r.frame_offset, file.path, …`.
    private func run(_ row: Statement, from column: Int32, after last: FileRun?) throws -> FileRun {
        let run = ManifestRun(
            file: Int(row.integer(column)), offset: row.integer(column + 1), length: row.integer(column + 2),
            frameOffset: row.integer(column + 3))
        let place = 0...ManifestReader.largestFile
        guard place.contains(run.offset), place.contains(run.length), place.contains(run.offset + run.length),
            (0...ManifestReader.largestFrame).contains(run.frameOffset)
        else { throw damaged("a run of file \(run.file) has an impossible place") }
        // A large file's runs mostly follow each other.
        if let last, last.run.file == run.file { return FileRun(run: run, file: last.file) }
        let isKnown = ManifestReader.numbers.contains(row.integer(column)) && !row.isNull(column + 4)
        return FileRun(run: run, file: isKnown ? try file(row, from: column + 4) : nil)
    }
    /// No cluster is larger, see `BackupDescription.largest`, and so no file.
    private static let largestFile = BackupDescription.largest
    /// No frame is larger: more would not fit a worker's memory.
    private static let largestFrame: Int64 = 64 << 20

    /// A frame, from these columns on: `f.offset, f.length, f.size, f.digest`.
    private func frame(_ row: Statement, from column: Int32) throws -> PackFrame {
        let (offset, length, size) = (row.integer(column), row.integer(column + 1), row.integer(column + 2))
        let digest = row.blob(column + 3)
        let sizes = 0...ManifestReader.largestFrame
        guard offset >= 0, sizes.contains(length), sizes.contains(size), digest.count == 16 else {
            throw damaged("a frame has an impossible place or size")
        }
        return PackFrame(
            offset: UInt64(offset), length: UInt32(length), size: UInt32(size), digest: Digest(bytes: digest))
    }

    private static let runColumns =
        "r.file, r.offset, r.length, r.frame_offset, file.path, file.kind, file.mode, file.modified, file.size, file.target"

    /// Hands every frame with its runs to `body`, pack by pack and front to back.
    func forEachFrame(_ body: (_ pack: Int, PackFrame, [FileRun]) throws -> Void) throws {
        let rows = try database.prepare(
            """
            SELECT f.id, f.pack, f.offset, f.length, f.size, f.digest, \(ManifestReader.runColumns)
            FROM frame f CROSS JOIN run r ON r.frame = f.id LEFT JOIN file ON file.id = r.file
            ORDER BY f.id, r.frame_offset
            """)
        var current: (id: Int64, pack: Int, frame: PackFrame)?
        var runs: [FileRun] = []
        var last: FileRun?
        while try rows.step() {
            let id = rows.integer(0)
            if current?.id != id {
                if let current { try body(current.pack, current.frame, runs) }
                runs = []
                current = (id, Int(rows.integer(1)), try frame(rows, from: 2))
            }
            let run = try run(rows, from: 6, after: last)
            guard run.run.length <= ManifestReader.largestFrame else {
                throw damaged("a run of file \(run.run.file) is longer than any frame")
            }
            runs.append(run)
            last = run
        }
        if let current { try body(current.pack, current.frame, runs) }
    }

    /// Hands every stretch of zeros, which has no frame, to `body`.
    func forEachZeroRun(_ body: (FileRun) throws -> Void) throws {
        let rows = try database.prepare(
            """
            SELECT \(ManifestReader.runColumns) FROM run r LEFT JOIN file ON file.id = r.file
            WHERE r.frame = \(Manifest.zeros)
            """)
        var last: FileRun?
        while try rows.step() {
            let run = try run(rows, from: 0, after: last)
            try body(run)
            last = run
        }
    }

    /// Regular files whose runs leave a gap, overlap, or end elsewhere than the file, and runs of no file at all.
    func forEachIncompleteFile(_ body: (_ path: String?) throws -> Void) throws {
        let rows = try database.prepare("SELECT file, offset, length FROM run ORDER BY file, offset")
        var next = try rows.step() ? rows.integer(0) : nil
        func strays(before end: Int64) throws {
            while let file = next, file < end {
                try body(nil)
                next = try rows.step() ? rows.integer(0) : nil
            }
        }
        try forEachFile { index, file in
            try strays(before: Int64(index))
            var reach: Int64 = 0
            var isBroken = false
            while next == Int64(index) {
                let (offset, length) = (rows.integer(1), rows.integer(2))
                if offset != reach || length <= 0 { isBroken = true }
                reach = offset &+ length
                next = try rows.step() ? rows.integer(0) : nil
            }
            if file.kind == .regular && (isBroken || reach != file.size) { try body(file.path) }
        }
        try strays(before: .max)
    }

    /// The whole content of a small file; nil when the backup has none of that name.
    func content(of path: String, archive: ClusterArchive, limit: Int64 = 16 << 20) throws -> [UInt8]? {
        guard let size = try database.integer("SELECT size FROM file WHERE path = ?", path), (0...limit).contains(size)
        else { return nil }
        var bytes = [UInt8](repeating: 0, count: Int(size))
        let rows = try database.prepare(
            """
            SELECT f.pack, f.offset, f.length, f.size, f.digest, r.offset, r.length, r.frame_offset
            FROM run r JOIN frame f ON f.id = r.frame
            WHERE r.file = (SELECT id FROM file WHERE path = ?) ORDER BY r.offset
            """)
        try rows.bind(1, path)
        var decompressor = try Decompressor()
        while try rows.step() {
            guard let place = packs[Int(rows.integer(0))] else {
                throw Problem("the manifest of backup \"\(label)\" names an unknown pack")
            }
            let frame = try frame(rows, from: 1)
            var content = [UInt8](repeating: 0, count: Int(frame.size))
            var buffer = [UInt8](repeating: 0, count: Int(frame.length))
            let pack = try archive.pack(place.label, place.name)
            try content.withUnsafeMutableBytes { content in
                try buffer.withUnsafeMutableBytes {
                    try pack.extract(frame, with: &decompressor, buffer: $0, content: content)
                }
            }
            let (to, length, from) = (Int(rows.integer(5)), Int(rows.integer(6)), Int(rows.integer(7)))
            guard to >= 0, from >= 0, length >= 0, to <= bytes.count, length <= bytes.count - to,
                from <= content.count, length <= content.count - from
            else {
                throw Problem("the manifest of backup \"\(label)\" has a run outside of its frame")
            }
            bytes.replaceSubrange(to..<(to + length), with: content[from..<(from + length)])
        }
        return bytes
    }
}

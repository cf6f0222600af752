import Glibc
import Platform
import Repository
import SQLite

/// A backup's manifest, fetched from the repository.
final class ManifestReader {
    private let file: NamelessDatabase
    var database: Database { file.database }
    let label: String
    /// The manifest's packs by their number in it.
    let packs: [Int: (label: String, number: Int)]

    /// - Throws: `ObjectDamaged` when it is not the manifest of this backup.
    init(_ label: String, of incarnation: Incarnation, in store: any ObjectStore) throws {
        let key = incarnation.backup(label, Manifest.objectName)
        self.label = label
        let object = try store.open(key)
        do {
            file = try NamelessDatabase { try ManifestReader.decompress(object, into: $0, $1) }
            let database = file.database
            guard try database.text("SELECT value FROM meta WHERE name = 'format'") == Manifest.format else {
                throw UnsupportedFormat(key: key)
            }
            guard try database.text("SELECT value FROM meta WHERE name = 'label'") == label else {
                throw ObjectDamaged(key: key, "It is the manifest of another backup.")
            }
            var packs: [Int: (label: String, number: Int)] = [:]
            let rows = try database.prepare("SELECT id, label, number FROM pack")
            while try rows.step() { packs[Int(rows.integer(0))] = (rows.text(1), Int(rows.integer(2))) }
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

    /// The files by their number; nil where a number is not used.
    func files() throws -> FileList {
        var files = FileList()
        let rows = try database.prepare("SELECT id, path, kind, mode, modified, size, target FROM file ORDER BY id")
        while try rows.step() {
            guard let kind = ManifestFile.Kind(rawValue: rows.text(2)) else {
                throw Problem("the manifest of backup \"\(label)\" has a file of unknown kind \"\(rows.text(2))\"")
            }
            let id = Int(rows.integer(0))
            guard (files.count..<1 << 32).contains(id) else {
                throw Problem("the manifest of backup \"\(label)\" has a file with the impossible number \(id)")
            }
            while files.count < id { files.append(nil) }
            files.append(
                ManifestFile(
                    path: rows.text(1), kind: kind, mode: UInt32(truncatingIfNeeded: rows.integer(3)),
                    modified: rows.integer(4), size: rows.integer(5), target: rows.isNull(6) ? nil : rows.text(6)))
        }
        return files
    }

    /// Hands every frame with its runs to `body`, pack by pack and front to back.
    func forEachFrame(_ body: (_ pack: Int, PackFrame, [ManifestRun]) throws -> Void) throws {
        let rows = try database.prepare(
            """
            SELECT f.id, f.pack, f.offset, f.length, f.size, f.digest, r.file, r.offset, r.length, r.frame_offset
            FROM frame f CROSS JOIN run r ON r.frame = f.id ORDER BY f.id, r.frame_offset
            """)
        var current: (id: Int64, pack: Int, frame: PackFrame)?
        var runs: [ManifestRun] = []
        while try rows.step() {
            let id = rows.integer(0)
            if current?.id != id {
                if let current { try body(current.pack, current.frame, runs) }
                runs = []
                let digest = rows.blob(5)
                guard digest.count == 16 else { throw Problem("the manifest of backup \"\(label)\" has no digest") }
                current = (
                    id, Int(rows.integer(1)),
                    PackFrame(
                        offset: UInt64(rows.integer(2)), length: UInt32(rows.integer(3)), size: UInt32(rows.integer(4)),
                        digest: Digest(bytes: digest))
                )
            }
            runs.append(
                ManifestRun(
                    file: Int(rows.integer(6)), offset: rows.integer(7), length: rows.integer(8),
                    frameOffset: rows.integer(9)))
        }
        if let current { try body(current.pack, current.frame, runs) }
    }

    /// Stretches of zeros, which have no frame.
    func zeroRuns() throws -> [ManifestRun] {
        let rows = try database.prepare("SELECT file, offset, length FROM run WHERE frame = \(Manifest.zeros)")
        var runs: [ManifestRun] = []
        while try rows.step() {
            runs.append(
                ManifestRun(
                    file: Int(rows.integer(0)), offset: rows.integer(1), length: rows.integer(2), frameOffset: 0))
        }
        return runs
    }

    /// The whole content of a small file; nil when the backup has none of that name.
    func content(
        of path: String, incarnation: Incarnation, store: any ObjectStore, limit: Int64 = 16 << 20
    ) throws -> [UInt8]? {
        guard let size = try database.integer("SELECT size FROM file WHERE path = ?", path), size <= limit else {
            return nil
        }
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
            let frame = PackFrame(
                offset: UInt64(rows.integer(1)), length: UInt32(rows.integer(2)), size: UInt32(rows.integer(3)),
                digest: Digest(bytes: rows.blob(4)))
            var content = [UInt8](repeating: 0, count: Int(frame.size))
            var buffer = [UInt8](repeating: 0, count: Int(frame.length))
            let pack = try StoredPack(incarnation.pack(place.label, place.number), in: store)
            try content.withUnsafeMutableBytes { content in
                try buffer.withUnsafeMutableBytes {
                    try pack.extract(frame, with: &decompressor, buffer: $0, content: content)
                }
            }
            let (to, length, from) = (Int(rows.integer(5)), Int(rows.integer(6)), Int(rows.integer(7)))
            guard to >= 0, from >= 0, to + length <= bytes.count, from + length <= content.count else {
                throw Problem("the manifest of backup \"\(label)\" has a run outside of its frame")
            }
            bytes.replaceSubrange(to..<(to + length), with: content[from..<(from + length)])
        }
        return bytes
    }
}

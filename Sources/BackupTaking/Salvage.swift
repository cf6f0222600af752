import Backups
import Platform
import Repository
import SQLite

/// Frames that need not be compressed again because an interrupted backup has already stored them.
///
/// A frame is used only if its content is the same, so nothing else needs to be known about those backups.
final class Salvage: Sendable {
    enum Place {
        /// In a pack that the new manifest may refer to, by its number there.
        case pack(Int, ordinal: Int, PackFrame)
        /// In an unfinished pack, from which it must be copied.
        case loose(any StoredObject, PackFrame)
    }

    /// Frames by digest; there may be millions.
    private struct Index {
        let file: NamelessDatabase
        let find: Statement
    }
    private let index: Monitor<Index>?
    /// Packs to which the manifest may refer, by their number in it.
    private let packs: [Int: SalvagedPack]
    private let loose: [Int: any StoredObject]

    /// Numbers from here on are packs of other backups.
    private static let firstPack = 1 << 24

    /// An empty one.
    init() { (index, packs, loose) = (nil, [:], [:]) }

    /// The frames in the packs of unfinished backups.
    init(_ archive: ClusterArchive) throws {
        let file = try NamelessDatabase(
            schema: """
                CREATE TABLE frame (digest BLOB PRIMARY KEY, pack INTEGER, ordinal INTEGER, offset INTEGER,
                    length INTEGER, size INTEGER) WITHOUT ROWID;
                """)
        let insert = try file.database.prepare("INSERT OR IGNORE INTO frame VALUES (?, ?, ?, ?, ?, ?)")
        var packs: [Int: SalvagedPack] = [:]
        var loose: [Int: any StoredObject] = [:]
        var next = Salvage.firstPack
        func add(_ frames: [PackFrame]) throws {
            for (ordinal, frame) in frames.enumerated() {
                try insert.run(
                    frame.digest.bytes, next, ordinal, Int(frame.offset), Int(frame.length), Int(frame.size))
            }
            next += 1
        }
        try file.database.execute("BEGIN")
        let folders = try archive.listBackups().incomplete.map { ($0, archive.incarnation.packFolder($0)) }
        for (label, folder) in folders {
            for entry in try archive.store.list(folder) {
                guard let name = PackName(entry.name), let frames = try? archive.pack(label, name).index() else {
                    continue
                }
                packs[next] = SalvagedPack(archive, label, name)
                try add(frames)
            }
        }
        // Second, because a frame in a finished pack need not be copied.
        for (_, folder) in folders {
            for object in try archive.store.leftovers(in: folder) {
                guard let frames = try? framesOfUnfinishedPack(object, largest: Manifest.frameSize) else { continue }
                loose[next] = object
                try add(frames)
            }
        }
        try file.database.execute("COMMIT")
        (self.packs, self.loose) = (packs, loose)
        index = Monitor(
            Index(
                file: file,
                find: try file.database.prepare(
                    "SELECT pack, ordinal, offset, length, size FROM frame WHERE digest = ?")))
    }

    /// A frame with exactly this content; nil when there is none.
    func place(of digest: Digest, size: Int) throws -> Place? {
        guard let index else { return nil }
        let found = try index.update { index -> (pack: Int, ordinal: Int, PackFrame)? in
            let row = index.find
            try digest.bytes.withUnsafeBytes { try row.bind(1, blob: $0) }
            defer { row.reset() }
            guard try row.step(), row.integer(4) == size else { return nil }
            let frame = PackFrame(
                offset: UInt64(row.integer(2)), length: UInt32(row.integer(3)), size: UInt32(size), digest: digest)
            return (Int(row.integer(0)), Int(row.integer(1)), frame)
        }
        guard let (id, ordinal, frame) = found else { return nil }
        if let object = loose[id] { return .loose(object, frame) }
        return try pack(id).map { _ in .pack(id, ordinal: ordinal, frame) }
    }

    /// A pack to which the manifest may refer, with the digest of its stored bytes; nil for any other number, and for a
    /// damaged pack.
    func pack(_ id: Int) throws -> ManifestPack? { try packs[id]?.read() }
}

/// A pack of an unfinished backup. It is read completely before any of its frames is used, since the manifest's digest
/// of its stored bytes must be of undamaged ones.
private final class SalvagedPack: Sendable {
    private let archive: ClusterArchive
    private let label: String
    private let name: PackName
    /// Nil until the pack has been read.
    private let found = Monitor<Result<ManifestPack, ObjectDamaged>?>(nil)

    init(_ archive: ClusterArchive, _ label: String, _ name: PackName) {
        (self.archive, self.label, self.name) = (archive, label, name)
    }

    /// Nil when the pack is damaged.
    func read() throws -> ManifestPack? {
        try found.update { found in
            if found == nil {
                do {
                    found = .success(try examine())
                } catch let damage as ObjectDamaged {
                    found = .failure(damage)
                }
            }
            return try? found?.get()
        }
    }

    private func examine() throws -> ManifestPack {
        let pack = try archive.pack(label, name)
        let digest = try pack.digest()
        let buffer = UnsafeMutableRawBufferPointer.allocate(
            byteCount: Compressor.bound(Manifest.frameSize), alignment: 4096)
        let content = UnsafeMutableRawBufferPointer.allocate(byteCount: Manifest.frameSize, alignment: 4096)
        defer {
            buffer.deallocate()
            content.deallocate()
        }
        var decompressor = try Decompressor()
        for frame in try pack.index() {
            try pack.extract(frame, with: &decompressor, buffer: buffer, content: content)
        }
        return ManifestPack(label: label, name: name, size: pack.storedLength, digest: digest)
    }
}

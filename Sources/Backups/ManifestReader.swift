import Glibc
import Platform
public import Repository
public import SQLite

/// A backup's manifest, fetched from the repository.
public final class ManifestReader {
    private let file: NamelessDatabase
    public var database: Database { file.database }
    public let label: String
    public let key: RepositoryKey
    /// The manifest's packs by their number in it.
    public let packs: [Int: ManifestPack]

    /// - Throws: `ObjectDamaged` when it is not the manifest of this backup; `UnsupportedFormat`.
    public init(_ label: String, of archive: ClusterArchive) throws {
        let key = archive.incarnation.backup(label, Manifest.objectName)
        self.label = label
        self.key = key
        let object = try archive.store.open(key)
        do {
            file = try NamelessDatabase { try ManifestReader.decompress(object, into: $0, $1) }
            let database = file.database
            func meta(_ name: String) throws -> String? {
                try database.text("SELECT value FROM meta WHERE name = '\(name)'")
            }
            guard let format = try meta("format"), let version = try meta("tidemark_version") else {
                throw ObjectDamaged(key: key, "It does not say which version wrote it.")
            }
            guard format == Manifest.format else { throw UnsupportedFormat(key: key, version: version) }
            guard try meta("label") == label else {
                throw ObjectDamaged(key: key, "It is the manifest of another backup.")
            }
            for (table, columns) in Manifest.tables { _ = try database.prepare("SELECT \(columns) FROM \(table)") }
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
        } catch let error as DatabaseError where error.isDamage {
            throw ObjectDamaged(key: key, "SQLite says: \(error.reason).")
        } catch let error as CodecError where !error.isOutOfMemory {
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

    /// The files to visit.
    public enum FileKinds: String {
        case all = ""
        case regular = "WHERE kind = 'f'"
        /// Directories and tablespaces.
        case directories = "WHERE kind <> 'f'"
    }

    /// Calls `body` with every file and its number, in the order of their numbers.
    public func forEachFile(_ kinds: FileKinds = .all, _ body: (_ index: Int, ManifestFile) throws -> Void) throws {
        let rows = try database.prepare(
            "SELECT id, \(ManifestReader.fileColumns) FROM file \(kinds.rawValue) ORDER BY id")
        while try rows.step() { try body(try number(rows.integer(0)), try file(rows, from: 1)) }
    }

    public func regularFiles() throws -> (count: Int, size: Int64) { try Manifest.regularFiles(in: database) }

    /// Nil when the backup has no such file.
    public func file(at path: String) throws -> ManifestFile? {
        let row = try database.prepare("SELECT \(ManifestReader.fileColumns) FROM file WHERE path = ?")
        try row.bind(1, path)
        return try row.step() ? try file(row, from: 0) : nil
    }

    /// - Parameter column: where `fileColumns` begin.
    func file(_ row: Statement, from column: Int32) throws -> ManifestFile {
        guard let kind = ManifestFile.Kind(rawValue: row.text(column + 1)) else {
            throw Problem(
                "the manifest of backup \"\(label)\" has a file of unknown kind \"\(row.text(column + 1))\"")
        }
        guard row.isNull(column + 6) || row.blob(column + 6).count == 16 else {
            throw damaged("file \"\(row.text(column))\" has an impossible digest")
        }
        let file = ManifestFile(
            path: row.text(column), kind: kind, mode: UInt32(truncatingIfNeeded: row.integer(column + 2)),
            modified: row.integer(column + 3), size: row.integer(column + 4),
            target: row.isNull(column + 5) ? nil : row.text(column + 5),
            digest: row.isNull(column + 6) ? nil : Digest(bytes: row.blob(column + 6)))
        if let objection = file.objection { throw damaged(objection) }
        return file
    }

    public func damaged(_ reason: String) -> ObjectDamaged { ObjectDamaged(key: key, "In it, \(reason).") }

    /// The numbers that files and packs may have.
    static let numbers: Range<Int64> = 0..<1 << 32

    func number(_ id: Int64) throws -> Int {
        guard ManifestReader.numbers.contains(id) else {
            throw Problem("the manifest of backup \"\(label)\" has a file with the impossible number \(id)")
        }
        return Int(id)
    }

    /// The columns of `file`, in the order in which the reader takes them.
    static let fileColumns =
        "file.path, file.kind, file.mode, file.modified, file.size, file.target, file.digest"
}

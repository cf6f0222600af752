import Backups
import Repository
import SQLite
import WAL

/// A piece of work for one thread of a backup.
enum CopyItem: Sendable, Equatable {
    /// A stretch of a large file, copied in frames of its own.
    case stretch(CopyFile, offset: Int64, length: Int64)
    /// Small files that share one frame.
    case bundle([CopyFile])

    /// Files smaller than this share frames.
    static let bundleLimit = 512 << 10
    /// The most files that share a frame.
    static let bundleCount = 4096
    fileprivate static let stretchSize: Int64 = 8 << 20
}

extension ManifestFile {
    /// In the place of a digest that whoever copies the file will know, so that the row keeps its length.
    var expectedDigest: Digest? {
        kind == .regular && size < CopyItem.bundleLimit ? Digest(high: 0, low: 0) : nil
    }
}

/// A file as the walk found it.
struct CopyFile: Sendable, Equatable {
    /// Its number in the manifest.
    let index: Int
    /// Relative to the data directory.
    let path: String
    /// Bytes.
    let size: Int64
}

/// Deals out the manifest's regular files piece by piece: large ones first, so that no thread ends up alone with one.
struct CopyPlan {
    private let largeFiles: Statement
    private let smallFiles: Statement
    /// The large file that stretches are dealt of, and the next one's offset.
    private var large: (file: CopyFile, offset: Int64)?
    /// The first file that no bundle has.
    private var small: CopyFile?
    private var isExhausted = (large: false, small: false)

    /// No file may be added until the plan is carried out.
    init(_ manifest: ManifestWriter) throws {
        func files(_ condition: String) throws -> Statement {
            try manifest.database.prepare(
                "SELECT id, path, size FROM file WHERE kind = 'f' AND size \(condition) ORDER BY id")
        }
        largeFiles = try files(">= \(CopyItem.bundleLimit)")
        smallFiles = try files("< \(CopyItem.bundleLimit)")
    }

    /// Nil when there is nothing left.
    mutating func next() throws -> CopyItem? { try nextStretch() ?? nextBundle() }

    /// A statement that has come to its end would begin anew.
    private static func next(_ files: Statement, _ isExhausted: inout Bool) throws -> CopyFile? {
        guard !isExhausted else { return nil }
        guard try files.step() else {
            isExhausted = true
            return nil
        }
        return CopyFile(index: Int(files.integer(0)), path: files.text(1), size: files.integer(2))
    }

    private mutating func nextStretch() throws -> CopyItem? {
        if large == nil { large = try CopyPlan.next(largeFiles, &isExhausted.large).map { ($0, 0) } }
        guard let (file, offset) = large else { return nil }
        let length = min(CopyItem.stretchSize, file.size - offset)
        large = offset + length < file.size ? (file, offset + length) : nil
        return .stretch(file, offset: offset, length: length)
    }

    private mutating func nextBundle() throws -> CopyItem? {
        var bundle: [CopyFile] = []
        var filled: Int64 = 0
        while true {
            if small == nil { small = try CopyPlan.next(smallFiles, &isExhausted.small) }
            guard let file = small, filled + file.size <= Manifest.frameSize, bundle.count < CopyItem.bundleCount else {
                return bundle.isEmpty ? nil : .bundle(bundle)
            }
            bundle.append(file)
            filled += file.size
            small = nil
        }
    }
}

/// What one thread found out while it copied; the manifest's rows.
struct CopyBatch: Sendable {
    struct Frame: Sendable {
        var id: Int64
        var pack: Int
        var frame: PackFrame
    }
    var frames: [Frame] = []
    /// Runs with the frame they lie in.
    var runs: [(frame: Int64, run: ManifestRun)] = []
    /// Of the content of small files; nil for one that is large by now.
    var digests: [(file: Int, digest: Digest?)] = []
    /// Files that turned out to be of another size than the walk found, or were gone.
    var resized: [Int] = []
    var vanished: [Int] = []
    var suspects: [SuspectPage] = []
    var verifiedPages: Int64 = 0
    /// Raw bytes the walk had counted for this work.
    var planned: Int64 = 0
    var read: Int64 = 0
}

/// A page whose checksum stayed wrong when it was read again.
struct SuspectPage: Sendable {
    /// The file's number.
    var file: Int
    var block: UInt32
    /// What its header claims. A page written since the backup's start may be torn and is repaired by WAL; but no page can
    /// be newer than the backup's end.
    var lsn: LSN
}

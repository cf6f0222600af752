import Backups
import Repository
import SQLite
import WAL

/// A work item for one thread of a backup.
enum CopyItem: Sendable, Equatable {
    /// A part of a large file, copied in frames of its own.
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
    /// A placeholder for the digest that copying will compute, so that the row keeps its length.
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

/// Divides the manifest's regular files into work items: large files first, so that no thread is left alone with one.
struct CopyPlan {
    private let largeFiles: Statement
    private let smallFiles: Statement
    /// The large file that is being divided, and the offset of its next part.
    private var large: (file: CopyFile, offset: Int64)?
    /// The first file that is in no bundle yet.
    private var small: CopyFile?
    private var isExhausted = (large: false, small: false)

    /// No file may be added until the plan has been carried out.
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

    /// A finished statement would start again.
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

/// The result of one thread's copying, as rows for the manifest.
struct CopyBatch: Sendable {
    struct Frame: Sendable {
        var id: Int64
        var pack: Int
        var frame: PackFrame
    }
    var frames: [Frame] = []
    /// Runs, each with its frame.
    var runs: [(frame: Int64, run: ManifestRun)] = []
    /// Digests of small files; nil for one that has become large.
    var digests: [(file: Int, digest: Digest?)] = []
    /// Files whose size has changed since the walk, or that vanished.
    var resized: [Int] = []
    var vanished: [Int] = []
    var suspects: [SuspectPage] = []
    var verifiedPages: Int64 = 0
    /// Raw bytes that the walk counted for this work.
    var planned: Int64 = 0
    var read: Int64 = 0
}

/// A page whose checksum stayed wrong when it was read again.
struct SuspectPage: Sendable {
    /// The file's number in the manifest.
    var file: Int
    var block: UInt32
    /// The LSN in its header. A page written since the backup's start may be torn and is repaired by WAL; but no page
    /// can be newer than the backup's end.
    var lsn: LSN
}

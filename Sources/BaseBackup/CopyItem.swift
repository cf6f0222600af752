import Repository

/// A piece of work for one thread of a backup.
enum CopyItem: Sendable, Equatable {
    /// A stretch of a large file, copied in frames of its own.
    case stretch(file: Int, offset: Int64, length: Int64)
    /// Small files that share one frame.
    case bundle([Int])

    /// The most content that one frame holds; a multiple of the page size.
    static let frameSize = 1 << 20
    /// Files smaller than this share frames.
    static let bundleLimit = 512 << 10
    fileprivate static let stretchSize: Int64 = 8 << 20
}

/// Deals out the regular files piece by piece: large ones first, so that no thread ends up alone with one.
struct CopyPlan: Sendable {
    private let files: FileList
    /// The next stretch of a large file.
    private var large = (file: 0, offset: Int64(0))
    /// The first file that no bundle has.
    private var small = 0

    init(_ files: FileList) { self.files = files }

    /// Nil when there is nothing left.
    mutating func next() -> CopyItem? { nextStretch() ?? nextBundle() }

    private mutating func nextStretch() -> CopyItem? {
        while large.file < files.count {
            let size = files.size(large.file)
            if files.isRegular(large.file) && size >= CopyItem.bundleLimit && large.offset < size {
                defer { large.offset += CopyItem.stretchSize }
                return .stretch(
                    file: large.file, offset: large.offset, length: min(CopyItem.stretchSize, size - large.offset))
            }
            large = (large.file + 1, 0)
        }
        return nil
    }

    private mutating func nextBundle() -> CopyItem? {
        var bundle: [Int] = []
        var filled = 0
        while small < files.count {
            let size = Int(files.size(small))
            if files.isRegular(small) && size < CopyItem.bundleLimit {
                if filled + size > CopyItem.frameSize || bundle.count == 4096 { break }
                bundle.append(small)
                filled += size
            }
            small += 1
        }
        return bundle.isEmpty ? nil : .bundle(bundle)
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
    /// Files that turned out to be shorter than the walk found, or were gone.
    var shortened: [Int] = []
    var vanished: [Int] = []
    var suspects: [SuspectPage] = []
    var verifiedPages: Int64 = 0
    /// Raw bytes the walk had counted for this work.
    var planned: Int64 = 0
    var read: Int64 = 0
}

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
    private static let stretchSize: Int64 = 8 << 20

    /// Deals out the regular files: large ones first, so that no thread ends up alone with one.
    static func plan(_ files: [ManifestFile]) -> [CopyItem] {
        var items: [CopyItem] = []
        var bundles: [CopyItem] = []
        var bundle: [Int] = []
        var filled = 0
        for (index, file) in files.enumerated() where file.kind == .regular {
            if file.size >= bundleLimit {
                var offset: Int64 = 0
                while offset < file.size {
                    items.append(
                        .stretch(file: index, offset: offset, length: min(stretchSize, file.size - offset)))
                    offset += stretchSize
                }
            } else {
                if filled + Int(file.size) > frameSize || bundle.count == 4096 {
                    bundles.append(.bundle(bundle))
                    (bundle, filled) = ([], 0)
                }
                bundle.append(index)
                filled += Int(file.size)
            }
        }
        if !bundle.isEmpty { bundles.append(.bundle(bundle)) }
        return items + bundles
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

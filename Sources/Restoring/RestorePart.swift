import Backups
import DataDirectory

/// What of a backup's files is restored.
struct RestorePart {
    private let selection: (@Sendable (_ path: String, _ size: Int64) -> RestoreTreatment)?

    init(_ request: RestoreRequest) { selection = request.selection }

    var isEverything: Bool { selection == nil }

    /// Files that aren't restored as they are in the backup, but written at the end.
    static let special: Set<String> = [ControlFile.path, "tablespace_map"]

    func treatment(of path: String, size: Int64) -> RestoreTreatment {
        guard let selection, !RestorePart.special.contains(path) else { return .whole }
        return selection(path, size)
    }

    /// Whether a file's content comes from its runs.
    func isCopied(_ file: ManifestFile) -> Bool {
        !RestorePart.special.contains(file.path) && treatment(of: file.path, size: file.size) == .whole
    }

    /// How many regular files there will be and their bytes, and how many of these take space.
    func extent(of manifest: ManifestReader) throws -> (files: Int, size: Int64, space: Int64) {
        if isEverything {
            let (count, size) = try manifest.regularFiles()
            return (count, size, size)
        }
        var extent = (files: 0, size: Int64(0), space: Int64(0))
        try manifest.forEachFile(.regular) { _, file in
            let treatment = treatment(of: file.path, size: file.size)
            if treatment == .absent { return }
            extent.files += 1
            extent.size += file.size
            if treatment == .whole { extent.space += file.size }
        }
        return extent
    }
}

import Backups
import DataDirectory
import Platform

/// The part of a backup's files that is restored.
struct RestorePart {
    private let selection: (@Sendable (_ path: String, _ size: Int64) -> RestoreTreatment)?

    /// - Parameter spared: paths at which, and below which, nothing is restored.
    init(_ request: RestoreRequest, sparing spared: [String]) {
        let chosen = request.selection
        guard !spared.isEmpty else {
            selection = chosen
            return
        }
        selection = { path, size in
            spared.contains { Files.lies(path, in: $0) } ? .absent : chosen?(path, size) ?? .whole
        }
    }

    var isEverything: Bool { selection == nil }

    /// Files that are written at the end, not restored as they are in the backup.
    static let special: Set<String> = [ControlFile.path, "tablespace_map"]

    func treatment(of path: String, size: Int64) -> RestoreTreatment {
        guard let selection, !RestorePart.special.contains(path) else { return .whole }
        return selection(path, size)
    }

    /// Whether a file's content comes from its runs.
    func isCopied(_ file: ManifestFile) -> Bool {
        !RestorePart.special.contains(file.path) && treatment(of: file.path, size: file.size) == .whole
    }

    /// The number and size in bytes of the regular files, and how many of these bytes take space.
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

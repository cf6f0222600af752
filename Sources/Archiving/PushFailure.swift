import Platform
public import Repository
import WAL

/// Why the last push failed, for `tidemark check`: PostgreSQL's own statistics have only the file's name. Written when
/// a push fails, and believed only while the server says that it is failing with that file.
public struct PushFailure: Sendable, Equatable {
    /// The file's name.
    public let file: String
    /// Whether the same file will be refused again, even when all disks and networks work.
    public let isRefusal: Bool
    public let message: String
    public let detail: String?
    public let hint: String?

    public init(file: String, isRefusal: Bool, message: String, detail: String?, hint: String?) {
        (self.file, self.isRefusal, self.message, self.detail, self.hint) = (file, isRefusal, message, detail, hint)
    }

    init(_ path: String, _ error: any Error) {
        let explained = error as? any Explained
        let isRefusal =
            switch error {
            case is WALDamage, is ArchiveConflict, is DamagedCopyDiffers, is Discontinuity, is NotArchivable,
                is NotInitialised, is BadTimelineHistory, is DamagedOwnHistory:
                true
            default: false
            }
        self.init(
            file: Files.name(path), isRefusal: isRefusal, message: explained?.message ?? "\(error)",
            detail: explained?.detail, hint: explained?.hint)
    }

    /// Records a failure; an error in writing the record is ignored.
    public static func note(_ path: String, _ error: any Error, in state: StateDirectory) {
        let failure = PushFailure(path, error)
        let parts = [
            failure.file, failure.isRefusal ? "refused" : "failed", failure.message, failure.detail ?? "",
            failure.hint ?? "",
        ]
        let text = parts.map { $0.split(separator: "\n").joined(separator: " ") + "\n" }.joined()
        try? Files.makeDirectories(state.path)
        try? Delivery.put(at: state.pushFailure) { append in
            var text = text
            try text.withUTF8 { try append(UnsafeRawBufferPointer($0)) }
        }
    }

    /// The last recorded failure; nil when there is none, or it can't be read.
    public init?(in state: StateDirectory) {
        guard let text = try? Files.readText(state.pushFailure, limit: 1 << 16) else { return nil }
        let parts = text.split(separator: "\n", omittingEmptySubsequences: false).map(String.init)
        guard parts.count >= 5, !parts[0].isEmpty else { return nil }
        func part(_ index: Int) -> String? { parts[index].isEmpty ? nil : parts[index] }
        self.init(
            file: parts[0], isRefusal: parts[1] == "refused", message: parts[2], detail: part(3), hint: part(4))
    }
}

public import Platform
public import Repository

extension ClusterIncarnations {
    /// The label of the backup that a word means: a label, the beginning of one label, or `oldest` or `latest` for the
    /// first and the last usable one, in the order of the WAL, of the incarnation in use.
    ///
    /// - Parameter incarnation: a folder's name, for that incarnation alone.
    /// - Returns: the word itself if it means none.
    /// - Throws: `AmbiguousLabel`, and what reading the repository throws.
    public func label(meantBy word: String, incarnation: String? = nil) throws -> String {
        let archives = try incarnation.map { [try named($0)] } ?? [current] + former
        let own = try archives[0].backups()
        guard !own.contains(word), !word.isEmpty else { return word }
        // One that can't be listed may hold the backup, but couldn't be used.
        let labels = own + archives.dropFirst().flatMap { (try? $0.backups()) ?? [] }
        if labels.contains(word) { return word }
        switch word {
        case "latest": return try archives[0].listBackups().newest?.label ?? word
        case "oldest": return try archives[0].listBackups().complete.first?.label ?? word
        default: break
        }
        let meant = labels.filter { $0.hasPrefix(word) }
        guard meant.count < 2 else { throw AmbiguousLabel(word: word, labels: meant) }
        return meant.first ?? word
    }
}

/// The beginning of several backups' labels.
public struct AmbiguousLabel: Explained, Equatable {
    let word: String
    let labels: [String]
    public var message: String { "the labels of \(labels.count) backups begin with \"\(word)\"" }
    public var detail: String? {
        let rest = labels.count > 5 ? " and \(labels.count - 5) more" : ""
        return "They are \(labels.prefix(5).joined(separator: ", "))\(rest)."
    }
    public var hint: String? { "Write more of it, or name \"oldest\" or \"latest\"." }
}

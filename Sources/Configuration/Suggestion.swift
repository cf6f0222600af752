import Platform

/// The candidate nearest to `word`, if it is near enough to be a slip of the fingers.
public func suggestion(for word: String, among candidates: some Sequence<String>) -> String? {
    candidates.map { (distance: editDistance($0, word), word: $0) }
        .min { ($0.distance, $0.word) < ($1.distance, $1.word) }
        .flatMap { $0.distance <= max(2, min(3, word.count / 3)) ? $0.word : nil }
}

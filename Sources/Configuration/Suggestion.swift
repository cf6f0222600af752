/// The candidate nearest to `word`, if it is near enough to be a typing error.
public func suggestion(for word: String, among candidates: some Sequence<String>) -> String? {
    candidates.map { (distance: editDistance($0, word), word: $0) }
        .min { ($0.distance, $0.word) < ($1.distance, $1.word) }
        .flatMap { $0.distance <= max(2, min(3, word.count / 3)) ? $0.word : nil }
}

/// The edit distance of two words.
func editDistance(_ a: String, _ b: String) -> Int {
    let b = Array(b)
    var row = Array(0...b.count)
    for (i, x) in a.enumerated() {
        var diagonal = row[0]
        row[0] = i + 1
        for j in b.indices {
            (diagonal, row[j + 1]) = (row[j + 1], min(row[j] + 1, row[j + 1] + 1, diagonal + (x == b[j] ? 0 : 1)))
        }
    }
    return row[b.count]
}

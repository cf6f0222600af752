/// The delay before an attempt is repeated: twice as long each time, or what the other side requested.
struct Backoff: Equatable {
    /// The number of attempts.
    let attempts: Int
    /// Milliseconds before the second attempt.
    let delay: Int64
    /// No pause is longer than a minute: other receivers wait for this one.
    static let longest: Int64 = 60_000

    /// Milliseconds to wait after failed attempt `number` (from 1); nil to give up.
    func pause(after number: Int, asked: Int64 = 0) -> Int64? {
        guard number < attempts else { return nil }
        let doubled = (0..<min(number - 1, 16)).reduce(delay) { pause, _ in min(pause * 2, Backoff.longest) }
        return min(max(doubled, asked), Backoff.longest)
    }
}

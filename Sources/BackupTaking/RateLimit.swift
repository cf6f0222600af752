import Platform

/// Holds all threads together to a number of bytes per second.
final class RateLimit: Sendable {
    private let bytesPerSecond: Double
    /// When the bytes granted so far will have been due, in nanoseconds of the monotonic clock.
    private let due: Monitor<Double>

    init(bytesPerSecond: Int64) {
        self.bytesPerSecond = Double(max(1, bytesPerSecond))
        due = Monitor(0)
    }

    /// Waits until `bytes` more may be read. At most a tenth of a second's worth is ever saved up.
    func take(_ bytes: Int) {
        let now = Double(Clock.monotonic)
        let wait = due.update { due in
            due = max(due, now - 1e8) + Double(bytes) / bytesPerSecond * 1e9
            return due - now
        }
        if wait > 0 { Clock.sleep(milliseconds: Int(wait / 1e6)) }
    }
}

import Platform

/// Limits all threads together to a number of bytes per second.
final class RateLimit: Sendable {
    private let bytesPerSecond: Double
    /// When the bytes granted so far are due, in nanoseconds of the monotonic clock.
    private let due: Monitor<Double>

    init(bytesPerSecond: Int64) {
        self.bytesPerSecond = Double(max(1, bytesPerSecond))
        due = Monitor(0)
    }

    /// Waits until `bytes` more may be read. Unused bandwidth is saved up for a tenth of a second at most.
    func take(_ bytes: Int) {
        let now = Double(Clock.monotonic)
        let wait = due.update { due in
            due = max(due, now - 1e8) + Double(bytes) / bytesPerSecond * 1e9
            return due - now
        }
        if wait > 0 { Clock.sleep(milliseconds: Int(wait / 1e6)) }
    }
}

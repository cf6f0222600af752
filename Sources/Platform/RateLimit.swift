/// Limits all threads together to a number of bytes per second.
public final class RateLimit: Sendable {
    private let bytesPerSecond: Double
    /// When the bytes granted so far are due, in nanoseconds.
    private let due: Monitor<Double>
    private let pause: @Sendable (_ milliseconds: Int) -> Void
    private let elapsed: @Sendable () -> UInt64

    /// - Parameter elapsed: in nanoseconds; never goes back.
    public init(
        bytesPerSecond: Int64,
        pause: @escaping @Sendable (_ milliseconds: Int) -> Void = { Clock.sleep(milliseconds: $0) },
        elapsed: @escaping @Sendable () -> UInt64 = { Clock.monotonic }
    ) {
        self.bytesPerSecond = Double(max(1, bytesPerSecond))
        due = Monitor(0)
        (self.pause, self.elapsed) = (pause, elapsed)
    }

    /// Waits until `bytes` more may be moved. Unused bandwidth is saved up for a tenth of a second at most.
    public func take(_ bytes: Int) {
        let now = Double(elapsed())
        let wait = due.update { due in
            due = max(due, now - 1e8) + Double(bytes) / bytesPerSecond * 1e9
            return due - now
        }
        if wait > 0 { pause(Int(wait / 1e6)) }
    }
}

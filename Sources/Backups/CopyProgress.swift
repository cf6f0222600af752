/// The progress of a backup, a restore or a verification.
public struct CopyProgress: Sendable, Equatable {
    /// Raw bytes processed.
    public var done: Int64
    /// Raw bytes in all; may still change while a backup runs.
    public var total: Int64
    /// Seconds since the copying began.
    public var seconds: Double

    /// Raw bytes per second.
    public var rate: Double { seconds > 0 ? Double(done) / seconds : 0 }
    /// Seconds that the rest will take at the present rate; nil while unknown.
    public var secondsLeft: Double? { rate > 0 ? Double(max(0, total - done)) / rate : nil }

    public init(done: Int64, total: Int64, seconds: Double) {
        self.done = done
        self.total = total
        self.seconds = seconds
    }
}

public import Platform

/// Limits the bytes per second that are read and written.
public struct RateLimited: Interception {
    private let limit: RateLimit
    public init(_ limit: RateLimit) { self.limit = limit }

    public func willMove(_ bytes: Int, _ verb: StoreVerb) { limit.take(bytes) }
    /// The kernel would read as fast as it can.
    public var permitsReadingAhead: Bool { false }
}

import CXXHash
import Messages

/// XXH3 with 128 bits and seed 0: names content and detects accidents. It is no defence against forgery.
public struct Digest: Hashable, Sendable, CustomStringConvertible {
    /// The two halves; `description` prints `high` first.
    public let high: UInt64
    public let low: UInt64

    public init(high: UInt64, low: UInt64) {
        self.high = high
        self.low = low
    }

    /// The digest of these bytes.
    public init(of bytes: UnsafeRawBufferPointer) {
        let hash = XXH3_128bits(bytes.baseAddress, bytes.count)
        self.init(high: hash.high64, low: hash.low64)
    }

    public init(of bytes: [UInt8]) { self = bytes.withUnsafeBytes { Digest(of: $0) } }

    /// Thirty-two hexadecimal digits, as `xxhsum -H2` prints them.
    public var description: String {
        padded(high, to: 16, radix: 16) + padded(low, to: 16, radix: 16)
    }

    public init?(_ text: String) {
        guard text.utf8.count == 32, let high = UInt64(text.prefix(16), radix: 16),
            let low = UInt64(text.suffix(16), radix: 16)
        else { return nil }
        self.init(high: high, low: low)
    }

    /// Sixteen bytes, most significant first: xxHash's canonical form.
    public var bytes: [UInt8] {
        [high, low].flatMap { half in (0..<8).map { UInt8(truncatingIfNeeded: half >> (56 - 8 * $0)) } }
    }

    /// From the canonical form.
    /// - Precondition: sixteen bytes.
    public init(bytes: some Collection<UInt8>) {
        precondition(bytes.count == 16)
        self.init(
            high: bytes.prefix(8).reduce(0) { $0 << 8 | UInt64($1) },
            low: bytes.dropFirst(8).reduce(0) { $0 << 8 | UInt64($1) })
    }
}

/// Computes a `Digest` piece by piece.
public struct Digester: ~Copyable {
    private let state: OpaquePointer

    public init() {
        guard let state = XXH3_createState() else { fatalError("out of memory") }
        XXH3_128bits_reset(state)
        self.state = state
    }

    deinit { XXH3_freeState(state) }

    public mutating func update(_ bytes: UnsafeRawBufferPointer) {
        XXH3_128bits_update(state, bytes.baseAddress, bytes.count)
    }

    /// The digest of everything since the last `reset`; more may follow.
    public borrowing func finish() -> Digest {
        let hash = XXH3_128bits_digest(state)
        return Digest(high: hash.high64, low: hash.low64)
    }

    public mutating func reset() { XXH3_128bits_reset(state) }
}

/// The 64-bit sum of a frame, piece by piece; the same as `SegmentFrame.sum` over the whole.
struct FrameDigester: ~Copyable {
    private let state: OpaquePointer

    init() {
        guard let state = XXH3_createState() else { fatalError("out of memory") }
        XXH3_64bits_reset(state)
        self.state = state
    }

    deinit { XXH3_freeState(state) }

    mutating func reset() { XXH3_64bits_reset(state) }
    mutating func update(_ bytes: UnsafeRawBufferPointer) { XXH3_64bits_update(state, bytes.baseAddress, bytes.count) }
    borrowing func finish() -> UInt64 { XXH3_64bits_digest(state) }
}

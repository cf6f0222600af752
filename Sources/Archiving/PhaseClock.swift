import Platform
import Synchronization

/// Where a command's time went; for `--timing`.
public final class PhaseClock: Sendable {
    public enum Phase: String, Sendable, CaseIterable {
        /// Processor time before the clock was made: of the dynamic linker, if any, and the language's runtime.
        case start
        /// Until the file and the repository have been opened.
        case open
        /// Reading and checking every record, and hashing, while another thread compresses.
        case scan
        /// Finding the predecessor and checking the link to it.
        case link
        /// Compressing the rest, and writing.
        case compress
        /// fsync, rename, fsync of the directory.
        case sync
        case fetch
    }

    private let state: Mutex<(last: UInt64, spent: [(Phase, UInt64)])>

    public init() { state = Mutex((Clock.monotonic, [(.start, Clock.processor)])) }

    /// Adds the time since the last mark to `phase`.
    public func mark(_ phase: Phase) {
        state.withLock {
            // Read under the lock, so that no thread sets an earlier time than another one has set.
            let now = Clock.monotonic
            $0.spent.append((phase, now - $0.last))
            $0.last = now
        }
    }

    /// `open 0.21 ms, scan 4.02 ms, …`
    public var description: String {
        state.withLock { state in
            state.spent.map { phase, nanoseconds in
                let hundredths = String(nanoseconds / 10_000 % 100)
                return
                    "\(phase.rawValue) \(nanoseconds / 1_000_000).\(hundredths.utf8.count < 2 ? "0" : "")\(hundredths) ms"
            }.joined(separator: ", ")
        }
    }
}

import Glibc
import Platform
import Synchronization

/// Progress for people: one line that is rewritten on a terminal, a plain line every ten seconds in a log.
final class Terminal: Sendable {
    private let isTerminal = isatty(2) == 1
    private let state = Mutex(State())

    private struct State {
        var lastShown: UInt64 = 0
        var open = false
    }

    /// Shows `text` unless something was shown a moment ago.
    func progress(_ text: @autoclosure () -> String, log: Log) {
        state.withLock { state in
            // Read under the lock: several threads report, and time must not seem to run backwards between them.
            let now = Clock.monotonic
            let pause: UInt64 = isTerminal ? 200_000_000 : 10_000_000_000
            if state.lastShown == 0 && !isTerminal { state.lastShown = now }
            guard now - state.lastShown >= pause else { return }
            state.lastShown = now
            if isTerminal {
                var line = "\r\u{1B}[K" + text()
                _ = line.withUTF8 { write(2, $0.baseAddress, $0.count) }
                state.open = true
            } else {
                log(.log, text())
            }
        }
    }

    /// Ends the rewritten line, before anything else is printed.
    func finishProgress() {
        state.withLock { state in
            guard state.open else { return }
            state.open = false
            _ = write(2, "\r\u{1B}[K", 4)
        }
    }
}

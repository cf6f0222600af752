import Glibc
import Monitoring
import Platform
import Synchronization

/// Progress: on a terminal one line that is rewritten, in a log a plain line every ten seconds. A line that does not
/// change is shown again with the time since it last did, even when no further progress is reported.
final class Terminal: Sendable {
    private let isTerminal = isatty(2) == 1
    private let state = Mutex(State())

    private struct State {
        var lastShown: UInt64 = 0
        var open = false
        /// The last report.
        var text: (@Sendable () -> String)?
        /// The last shown text, and since when it has not changed.
        var words = ""
        var since: UInt64 = 0
        /// Nanoseconds after which an unchanged text is repeated in a log.
        var reminder = Terminal.patience
        var isWatched = false
    }

    private static let patience: UInt64 = 10_000_000_000

    /// Shows `text` unless something was shown a moment ago.
    func progress(_ text: @autoclosure @escaping @Sendable () -> String, log: Log) {
        state.withLock { state in
            // Read under the lock: several threads report, and time must not seem to run backwards between them.
            let now = Clock.monotonic
            if state.text == nil { (state.words, state.since, state.reminder) = (text(), now, Terminal.patience) }
            state.text = text
            if !state.isWatched { state.isWatched = (try? Worker { [self] in watch(log) }) != nil }
            if state.lastShown == 0 && !isTerminal { state.lastShown = now }
            guard now - state.lastShown >= (isTerminal ? 200_000_000 : Terminal.patience) else { return }
            show(&state, now, log)
        }
    }

    private func show(_ state: inout State, _ now: UInt64, _ log: Log) {
        guard let text = state.text else { return }
        var words = text()
        if words != state.words { (state.words, state.since, state.reminder) = (words, now, Terminal.patience) }
        let still = now - state.since
        if still >= Terminal.patience {
            // A log gets fewer lines the longer it takes.
            guard isTerminal || still >= state.reminder else { return }
            state.reminder = still + min(still, 600_000_000_000)
            words += ", for \(still / 1_000_000_000) s so far"
        }
        state.lastShown = now
        if isTerminal {
            words = "\r\u{1B}[K" + printable(words)
            _ = words.withUTF8 { write(2, $0.baseAddress, $0.count) }
            state.open = true
        } else {
            log(.log, words)
        }
    }

    /// Shows the last report when there are no more.
    private func watch(_ log: Log) {
        while true {
            Clock.sleep(milliseconds: 500)
            let isOver = state.withLock { state in
                guard state.text != nil else {
                    state.isWatched = false
                    return true
                }
                let now = Clock.monotonic
                let pause = isTerminal ? 1_000_000_000 : Terminal.patience
                if now - state.lastShown >= pause { show(&state, now, log) }
                return false
            }
            if isOver { return }
        }
    }

    /// Ends the rewritten line, before anything else is printed.
    func finishProgress() {
        state.withLock { state in
            state.text = nil
            guard state.open else { return }
            state.open = false
            _ = write(2, "\r\u{1B}[K", 4)
        }
    }
}

extension Terminal {
    /// Whether standard output is a terminal whose reader wants colours (<https://no-color.org>).
    static let hasColour = isatty(1) == 1 && getenv("NO_COLOR") == nil && !isDumb
    private static var isDumb: Bool { getenv("TERM").map { String(cString: $0) == "dumb" } ?? true }

    /// Colours a text by a check's status.
    static func paint(_ text: String, _ status: CheckResult.Status) -> String {
        guard hasColour else { return text }
        let colour =
            switch status {
            case .ok: "32"
            case .warning: "33"
            case .critical: "1;31"
            case .unknown: "35"
            case .silenced: "36"
            }
        return "\u{1B}[\(colour)m\(text)\u{1B}[0m"
    }
}

import CPQ
import Glibc
import Platform

/// A result of libpq, cleared with the object.
final class QueryResult {
    /// Nil when the statement could not be sent; the connection has the error.
    let pointer: OpaquePointer?
    init(_ pointer: OpaquePointer?) { self.pointer = pointer }
    deinit { PQclear(pointer) }
}

/// The result of a statement: the last result, as PQexec returns it, or a timeout.
enum Answer {
    case result(QueryResult)
    /// The connection can't be used any more.
    case late

    var isLate: Bool { if case .late = self { true } else { false } }

    /// - Parameters:
    ///   - patience: in seconds.
    ///   - send: sends the statement; returns 0 on failure.
    init(_ handle: OpaquePointer, patience: Int32, send: () -> Int32) {
        let end = Clock.monotonic + UInt64(max(0, patience)) * 1_000_000_000
        guard send() == 1 else {
            self = .result(QueryResult(nil))
            return
        }
        var last = QueryResult(nil)
        while true {
            while PQisBusy(handle) == 1 {
                let now = Clock.monotonic
                let milliseconds = end > now ? (end - now) / 1_000_000 : 0
                guard milliseconds > 0 else {
                    self = .late
                    return
                }
                var socket = pollfd(fd: PQsocket(handle), events: Int16(POLLIN), revents: 0)
                // Interrupted or not, the clock decides; PQgetResult shows whether the connection is lost.
                if poll(&socket, 1, Int32(clamping: milliseconds)) > 0, PQconsumeInput(handle) == 0 { break }
            }
            guard let next = PQgetResult(handle) else { break }
            last = QueryResult(next)
        }
        self = .result(last)
    }
}

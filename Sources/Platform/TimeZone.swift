import Glibc
import Synchronization

/// The process's environment, which is not changed while a program is started with it.
let environmentLock = Mutex(())

/// Runs `body` while the C library's local time is that of a time zone: it takes the zone from the environment only.
///
/// - Parameter zone: as in `TZ` (tzset(3)); nil for the process's own.
public func withTimeZone<Value>(_ zone: String?, _ body: () -> sending Value) -> sending Value {
    environmentLock.withLock { _ in
        let own = getenv("TZ").map { String(cString: $0) }
        if let zone { setenv("TZ", zone, 1) }
        tzset()
        defer {
            if let own { setenv("TZ", own, 1) } else { unsetenv("TZ") }
            tzset()
        }
        return body()
    }
}

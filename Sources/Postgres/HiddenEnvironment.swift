import CLinux
import Glibc
import Synchronization

/// Hides libpq's variables (`PGOPTIONS`, `PGSERVICE`, `PGTZ` and so on) from it: they are meant for the user's servers,
/// and most of them can't be overridden by parameters.
///
/// While any thread hides them, they are hidden from all: sessions with the user's servers are not opened then.
enum HiddenEnvironment {
    /// Where the service files are, which a connection string may name, and libpq's translations.
    private static let kept = ["PGSERVICEFILE=", "PGSYSCONFDIR=", "PGLOCALEDIR="]
    private typealias Entries = UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>
    /// `whole` is the process's own environment, while another one is in its place.
    private struct State: @unchecked Sendable {
        var users = 0
        var whole: Entries?
        var rest: Entries?
    }
    private static let state = Mutex(State())

    static func begin() {
        state.withLock { state in
            state.users += 1
            guard state.users == 1 else { return }
            var entries: [UnsafeMutablePointer<CChar>] = []
            var next: Entries = environ
            while let entry = next.pointee {
                let text = String(cString: entry)
                if !text.hasPrefix("PG") || kept.contains(where: text.hasPrefix) { entries.append(entry) }
                next += 1
            }
            // Never freed while another thread may still be looking into it: the next call does that.
            state.rest?.deallocate()
            let rest = Entries.allocate(capacity: entries.count + 1)
            for (index, entry) in entries.enumerated() { rest[index] = entry }
            rest[entries.count] = nil
            (state.whole, state.rest) = (clinux_exchange_environment(rest), rest)
        }
    }

    static func end() {
        state.withLock { state in
            state.users -= 1
            guard state.users == 0, let whole = state.whole else { return }
            _ = clinux_exchange_environment(whole)
            state.whole = nil
        }
    }
}

extension Connection {
    /// A session with a server that tidemark has started. Nothing in the environment changes it; what libpq would take
    /// from there of role, database and credentials must be in the address (`ConnectionString.withIdentity`).
    public convenience init(
        ownServer address: ConnectionString, database: String? = nil
    ) throws(ConnectionFailure) {
        HiddenEnvironment.begin()
        defer { HiddenEnvironment.end() }
        try self.init(address.description, database: database)
    }
}

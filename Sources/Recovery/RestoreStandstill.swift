public import Backups
import Configuration
public import Platform
import Synchronization

/// A restore made no progress for `drill_timeout`.
public struct RestoreStandstill: Explained, Equatable {
    /// Milliseconds.
    public let limit: Int64
    /// Bytes.
    public let done: Int64
    public let total: Int64
    public var message: String {
        "the restore made no progress for drill_timeout (\(durationText(milliseconds: limit)))"
    }
    public var detail: String? {
        "\(Quantity.pretty(bytes: done)) of \(Quantity.pretty(bytes: total)) were restored; since then neither the "
            + "repository nor the place of the temporary cluster has answered."
    }
    public var hint: String? { "Is the repository within reach, and does its storage answer?" }
}

/// Runs a restore while it makes progress. A thread that waits for storage can't be stopped: an abandoned restore's
/// thread ends with the process.
///
/// - Parameters:
///   - limit: how long it may make no progress, in milliseconds.
///   - restore: gets the function to call with its progress.
/// - Throws: `RestoreStandstill`, and what `restore` throws.
public func watchRestore<Outcome: Sendable>(
    limit: Int64, progress: @escaping @Sendable (CopyProgress) throws -> Void,
    _ restore: @escaping @Sendable (@escaping @Sendable (CopyProgress) throws -> Void) throws -> Outcome
) throws -> Outcome {
    let watched = WatchedRestore<Outcome>()
    _ = try Worker {
        let outcome = Result {
            try restore {
                watched.note($0)
                try progress($0)
            }
        }
        watched.outcome.withLock { $0 = outcome }
    }
    while true {
        if let outcome = watched.outcome.withLock({ $0 }) { return try outcome.get() }
        let place = watched.place.withLock { $0 }
        if (Clock.monotonic - place.since) / 1_000_000 >= UInt64(max(0, limit)) {
            throw RestoreStandstill(limit: limit, done: place.done, total: place.total)
        }
        Clock.sleep(milliseconds: 5)
    }
}

private final class WatchedRestore<Outcome: Sendable>: Sendable {
    let outcome = Mutex<Result<Outcome, any Error>?>(nil)
    let place = Mutex((done: Int64(0), total: Int64(0), since: Clock.monotonic))

    func note(_ progress: CopyProgress) {
        place.withLock { place in
            guard progress.done != place.done || place.total == 0 else { return }
            place = (progress.done, progress.total, Clock.monotonic)
        }
    }
}

public import Platform
import Postgres

/// The content of a scratch cluster can't be read: something that the tables need is missing in it.
public struct ScratchIncomplete: Explained, Equatable {
    public let reason: String
    init(_ reason: String) { self.reason = reason }
    public var message: String { "the temporary cluster is not complete" }
    public var detail: String? { reason }
    public var hint: String? {
        "Check the backup with "
            + "\"\(runnable("tidemark verify"))\", or recover from another with --backup."
    }

    /// Nil unless `error`, from reading the scratch cluster, may come from omitted files: errors of this host, of the
    /// request or of the live server don't.
    init?(_ error: any Error, scratch: Connection? = nil) {
        switch error {
        case let failure as QueryFailure:
            // Internal errors and damage; files that are missing or can't be read; a server that went down.
            let isDamage = failure.sqlState.hasPrefix("XX") || ["58P01", "58030"].contains(failure.sqlState)
            let isGone = failure.sqlState.isEmpty && scratch?.isAlive == false
            guard isDamage || isGone, ScratchIncomplete.isOurs(failure.reason) else { return nil }
            self.init(failure.reason)
        case let failure as ConnectionFailure where ScratchIncomplete.isOurs(failure.reason):
            self.init(failure.reason)
        case let failure as DumpFailure where ScratchIncomplete.isOurs(failure.reason):
            self.init(failure.reason)
        case let failure as ScratchIncomplete: self = failure
        default: return nil
        }
    }

    /// Whether this host is the reason: it lacks libraries or locales, or its disk is full.
    private static func isOurs(_ reason: String) -> Bool {
        !["could not access file", "locale", "ICU", "No space left", "Permission denied"].contains {
            reason.contains($0)
        }
    }
}

/// pg_dump or pg_restore has failed on a scratch cluster.
public struct DumpFailure: Explained, Equatable {
    public let program: String
    public let reason: String
    public var message: String { "\(program) failed on the recovered tables" }
    public var detail: String? { reason }
    public var hint: String? { LastWordsHint.hint(reason) }
}

public import Platform
public import Repository
public import Retention
public import WAL

/// The result of an expiry for each incarnation of a cluster.
public struct ClusterExpiry: Sendable {
    /// An incarnation that initdb or pg_upgrade has ended.
    public struct Former: Sendable {
        public let incarnation: Incarnation
        /// The report, or why nothing was removed.
        public let result: Result<ExpiryReport, any Error>

        public var report: ExpiryReport? { try? result.get() }
    }

    public var current: ExpiryReport
    public var former: [Former] = []

    /// Objects that could not be removed, or examined.
    public var failures: [String] {
        current.failures
            + former.flatMap { one in
                switch one.result {
                case .success(let report): return report.failures
                case .failure(let error):
                    let explained = error as? any Explained
                    let reason = explained.map { [$0.message, $0.detail].compactMap { $0 }.joined(separator: ". ") }
                    return ["incarnation \(one.incarnation.folderName): \(reason ?? "\(error)")"]
                }
            }
    }
}

extension ClusterIncarnations {
    /// Expires the backups of every incarnation by the same rules, each by itself: none counts for another, so that the
    /// newest good backup of each stays, and so does the recovery window on both sides of an upgrade. An incarnation
    /// that can't be expired keeps everything, and doesn't stop the others.
    ///
    /// - Parameters:
    ///   - own: the timeline that the incarnation in use is on.
    ///   - proceed: as `expireBackups` asks it; what it throws ends all.
    /// - Throws: as `expireBackups`, for the incarnation in use; then nothing was removed from any.
    public func expire(
        policy: RetentionPolicy, own: OwnTimeline? = nil, now: Moment = Moment(microseconds: Clock.now), dryRun: Bool,
        proceed: () throws -> Void = {}
    ) throws -> ClusterExpiry {
        var expiry = ClusterExpiry(
            current: try expireBackups(
                of: current, policy: policy, own: own, now: now, dryRun: dryRun, proceed: proceed))
        for archive in former {
            var end: (any Error)?
            func goOn() throws {
                do { try proceed() } catch {
                    end = error
                    throw error
                }
            }
            let result = Result { () throws -> ExpiryReport? in
                // An incarnation without backups isn't touched, not even by a lock.
                guard try holdsBackups(archive) else { return nil }
                return try expireBackups(of: archive, policy: policy, now: now, dryRun: dryRun, proceed: goOn)
            }
            if let end { throw end }
            switch result {
            case .success(nil): continue
            case .success(let report?):
                expiry.former.append(.init(incarnation: archive.incarnation, result: .success(report)))
            case .failure(let error):
                expiry.former.append(.init(incarnation: archive.incarnation, result: .failure(error)))
            }
        }
        return expiry
    }

    private func holdsBackups(_ archive: ClusterArchive) throws -> Bool {
        try !archive.backups().isEmpty || !archive.store.list(archive.incarnation.packFolder).isEmpty
    }
}

import DataDirectory
import Planning
import Recovery
import WAL

/// The whole configuration of a scratch server. Nothing of the original's is used: any line of it (a library, a
/// certificate, a size) could keep the server from starting here, or make it connect elsewhere.
enum ScratchSettings {
    /// - Parameter expectsMissingPages: whether files are omitted and the WAL isn't filtered.
    static func text(
        plan: Plan, control: ControlFile, scratch: ScratchDirectory, restoreCommand: String, expectsMissingPages: Bool
    ) -> String {
        var setup = RecoverySetup(restoreCommand: restoreCommand, isOwnDirectory: false)
        setup.action = .promote
        var plan = plan
        // What comes after the end isn't offered to it.
        plan.faultAhead = nil
        var values: [(String, String)] = plan.settings(for: setup, directory: scratch.path).map { ($0.name, $0.value) }
        // The last line of a name counts.
        values += CopySettings.scratch(
            major: plan.majorVersion, socketDirectory: scratch.socketDirectory,
            rulesFile: scratch.path + "/pg_hba.conf",
            mapFile: scratch.path + "/pg_ident.conf"
        ).map { ($0.name, $0.value) }
        let segment = Int64(control.segmentSize) >> 20
        values += [
            // No other client, and no outgoing connections.
            ("max_wal_senders", "0"), ("jit", "off"),
            // A standby that is paused would still hold the lock of the DROP TABLE before which the target lies.
            ("hot_standby", "off"), ("max_connections", "20"),
            // Both may be raised in the replayed WAL.
            ("max_prepared_transactions", String(max(Int(control.maxPreparedTransactions), 1000))),
            ("max_locks_per_transaction", String(max(Int(control.maxLocksPerTransaction), 256))),
            // Vacuum would read missing tables; the freeze limits prevent even a forced one.
            ("autovacuum_freeze_max_age", "2000000000"),
            ("autovacuum_multixact_freeze_max_age", "2000000000"),
            // The cluster is thrown away.
            ("fsync", "off"), ("full_page_writes", "off"), ("synchronous_commit", "off"),
            ("min_wal_size", "\(max(80, 5 * segment))MB"),
            ("max_wal_size", "\(max(1024, 16 * segment))MB"), ("checkpoint_timeout", "1d"),
            // Replayed segments become holes (ReplayedWAL); none may be reused under the name of a later one.
            ("wal_recycle", "off"), ("wal_init_zero", "off"),
            ("restart_after_crash", "off"),
            // Its log is read by tidemark.
            ("log_line_prefix", ""),
            ("log_error_verbosity", "terse"), ("log_checkpoints", "off"), ("lc_messages", "C"), ("timezone", "UTC"),
            ("log_timezone", "UTC"), ("datestyle", "ISO, MDY"),
        ]
        // More than any cluster has: the WAL doesn't show how many there are.
        values.append((HostDemands.roomForOrigins(major: plan.majorVersion), "10000"))
        if plan.majorVersion >= 13 { values.append(("ignore_invalid_pages", expectsMissingPages ? "on" : "off")) }
        return values.map { RecoverySetting($0.0, $0.1).line + "\n" }.joined()
    }

    /// Overrides settings in the catalogs for sessions: a library missing here, a timeout, another role, row-level
    /// security.
    static func sessionOptions(_ majorVersion: Int) -> String {
        "-c session_preload_libraries= -c local_preload_libraries= -c lock_timeout=30s -c statement_timeout=0 "
            + "-c default_transaction_read_only=off -c role=none"
            + (majorVersion >= 14 ? " -c idle_session_timeout=0" : "")
            + (majorVersion >= 17 ? " -c event_triggers=off" : "")
            + SessionSettings.forCopying.map { " -c \($0.name)=\($0.value)" }.joined()
    }
}

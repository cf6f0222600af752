import Glibc
import Platform
public import Postgres
public import Setup
import WAL

extension ServerObservation {
    /// Queries the server. Needs only the privileges listed in docs/security.md.
    ///
    /// - Parameter archiving: the required `archive_command`.
    public init(of connection: Connection, archiving: ArchivingCall) throws {
        version = connection.serverVersion
        isStandby = try connection.isStandby()
        let before = Clock.now
        let server = try connection.now().microseconds
        let after = Clock.now
        // The middle of the round trip.
        clockOffset = Double(server - (before + after) / 2) / 1_000_000
        findings = try ServerInspection(of: connection, archiving: archiving).findings
        let row = try connection.query(
            """
            SELECT archived_count, failed_count, last_failed_wal,
                   last_failed_time IS NOT NULL AND last_failed_time > coalesce(last_archived_time, '-infinity'),
                   CASE WHEN current_setting('archive_mode') = 'always'
                          OR current_setting('archive_mode') = 'on' AND NOT pg_is_in_recovery()
                        THEN extract(epoch FROM clock_timestamp() - greatest(last_archived_time, pg_postmaster_start_time()))
                   END,
                   last_archived_wal
            FROM pg_stat_archiver
            """
        ).values.first
        archivedCount = row?[0].flatMap { Int($0) } ?? 0
        failedCount = row?[1].flatMap { Int($0) } ?? 0
        lastFailed = row?[2]
        isFailing = row?[3] == "t"
        archiverQuiet = row?[4].flatMap { Double($0) }
        lastArchived = row?[5].flatMap(SegmentName.init)
        position = try connection.currentLSN()
        receivedTimeline = isStandby ? try connection.receivedTimeline() : nil
    }
}

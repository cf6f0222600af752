import Backups
import Jobs
public import Monitoring
import WAL

/// Observation and results as metrics (docs/monitoring.md). Times are exported as times: an age would stand still in a
/// file that isn't rewritten, and `time() - x` is an age at any time.
public func metrics(_ observation: Observation, _ results: [CheckResult], tidemarkVersion: String) -> [Metric] {
    let cluster = [(name: "cluster", value: observation.cluster)]
    func gauge(_ name: String, _ unit: String?, _ help: String, _ value: Double?) -> Metric {
        Metric(
            name: name, kind: .gauge, unit: unit, help: help,
            samples: value.map { [Metric.Sample(labels: cluster, value: $0)] } ?? [])
    }
    func seconds(_ moment: Moment?) -> Double? { moment.map { Double($0.microseconds) / 1_000_000 } }
    func last(_ kind: JobKind, ok: Bool? = nil) -> JobRecord? {
        observation.pastJobs.last { $0.kind == kind && (ok == nil || ($0.result == .success) == ok) }
    }
    let (archive, server, waiting) = (observation.archive, observation.server, observation.waiting)
    let newest = archive?.newestBackup

    var metrics = [
        Metric(
            name: "tidemark", kind: .info, unit: nil, help: "Version of tidemark.",
            samples: [Metric.Sample(labels: cluster + [(name: "version", value: tidemarkVersion)], value: 1)]),
        gauge(
            "tidemark_check_timestamp_seconds", "seconds", "When these metrics were made.", seconds(observation.now)),
        Metric(
            name: "tidemark_check_status", kind: .gauge, unit: nil,
            help: "Result of each check: 0 ok or silenced, 1 warning, 2 critical, 3 unknown.",
            samples: results.map {
                Metric.Sample(labels: cluster + [(name: "check", value: $0.id)], value: Double($0.status.nagios))
            }),
        Metric(
            name: "tidemark_check_silenced", kind: .gauge, unit: nil,
            help: "Whether the check is not ok and silenced.",
            samples: results.map {
                Metric.Sample(labels: cluster + [(name: "check", value: $0.id)], value: $0.status == .silenced ? 1 : 0)
            }),
        gauge("tidemark_server_up", nil, "Whether the server could be queried.", server == nil ? 0 : 1),
        gauge(
            "tidemark_server_clock_offset_seconds", "seconds", "How far the server's clock is ahead of this machine's.",
            server?.clockOffset),
        gauge(
            "tidemark_archive_ready_segments", nil, "Finished files the server has not archived yet.",
            waiting.map { Double($0.ready) }),
        gauge(
            "tidemark_archive_oldest_ready_seconds", "seconds", "How long the oldest of them has been waiting.",
            waiting?.oldestReady),
        gauge(
            "tidemark_archive_failing", nil, "Whether the server's last attempt to archive failed.",
            server.map { $0.isFailing ? 1 : 0 }),
    ]
    for (name, help, count) in [
        (
            "tidemark_archive_segments", "Files the server has archived since its statistics were reset.",
            server?.archivedCount
        ),
        ("tidemark_archive_failures", "Failed attempts of the server to archive.", server?.failedCount),
    ] {
        metrics.append(
            Metric(
                name: name, kind: .counter, unit: nil, help: help,
                samples: count.map { [Metric.Sample(labels: cluster, value: Double($0))] } ?? []))
    }
    metrics += [
        gauge(
            "tidemark_rpo_seconds", "seconds", "Age of the oldest commit that is not in the repository.",
            waiting?.oldestCommit),
        gauge(
            "tidemark_rto_seconds", "seconds", "Time a recovery is expected to take, from drills.",
            observation.expectedDowntime),
        gauge(
            "tidemark_wal_missing_segments", nil,
            "Segments missing between the oldest kept backup and the newest archived one.",
            archive.map { Double($0.missing) }),
        gauge(
            "tidemark_wal_newest_commit_timestamp_seconds", "seconds", "The newest commit in the repository.",
            seconds(archive?.newestCommit)),
        gauge(
            "tidemark_recovery_window_start_timestamp_seconds", "seconds",
            "The oldest moment from which every later one can be recovered.", seconds(archive?.windowStart)),
        gauge(
            "tidemark_recovery_window_end_timestamp_seconds", "seconds", "The newest moment that can be recovered.",
            seconds(archive?.windowEnd)),
        gauge("tidemark_backups", nil, "Complete base backups.", archive.map { Double($0.backups.complete.count) }),
        gauge(
            "tidemark_backup_last_timestamp_seconds", "seconds", "When the newest complete backup ended.",
            seconds(newest?.stopTime)),
        gauge(
            "tidemark_backup_last_duration_seconds", "seconds", "How long the newest backup took.",
            newest.map { $0.timings.total }),
        gauge("tidemark_backup_last_size_bytes", "bytes", "Size of the cluster in it.", newest.map { Double($0.size) }),
        gauge(
            "tidemark_backup_last_stored_bytes", "bytes", "Bytes it added to the repository.",
            newest.map { Double($0.storedSize) }),
        gauge(
            "tidemark_backup_corrupt_pages", nil, "Pages with wrong checksums in it.",
            newest.map { Double($0.corruptPages.count) }),
        gauge(
            "tidemark_repository_free_bytes", "bytes", "Free space of the repository's file system.",
            observation.space.map { Double($0.free) }),
        gauge(
            "tidemark_repository_size_bytes", "bytes", "Size of the repository's file system.",
            observation.space.map { Double($0.total) }),
        gauge(
            "tidemark_notifications_waiting", nil, "Notifications that could not be delivered yet.",
            observation.undelivered.map { Double($0.count) }),
    ]
    let kinds = JobKind.allCases
    func perJob(_ name: String, _ unit: String?, _ help: String, _ value: (JobKind) -> Double?) -> Metric {
        Metric(
            name: name, kind: .gauge, unit: unit, help: help,
            samples: kinds.compactMap { kind in
                value(kind).map { Metric.Sample(labels: cluster + [(name: "job", value: kind.rawValue)], value: $0) }
            })
    }
    metrics += [
        perJob(
            "tidemark_job_last_timestamp_seconds", "seconds",
            "When the last job of this kind ended, successfully or not."
        ) {
            seconds(last($0)?.finished)
        },
        perJob("tidemark_job_last_success_timestamp_seconds", "seconds", "When a job of this kind last succeeded.") {
            seconds(last($0, ok: true)?.finished)
        },
        perJob("tidemark_job_last_success", nil, "Whether the last one succeeded.") {
            last($0).map { $0.result == .success ? 1 : 0 }
        },
        perJob("tidemark_job_last_duration_seconds", "seconds", "How long the last one took.") {
            last($0).map { Double($0.duration) / 1000 }
        },
    ]
    return metrics
}

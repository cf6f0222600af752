public import Operations
import Planning
import Recovery
import WAL

/// A plan as JSON: `--json`. Keys are written in snake_case, times in ISO 8601, LSNs as PostgreSQL does.
public struct PlanDocument: Encodable, Sendable {
    struct Target: Encodable {
        let kind: String
        let value: String?
        let inclusive: Bool
        let timeline: String
    }
    struct Backup: Encodable {
        let label: String
        let timeline: UInt32
        let startTime, stopTime, startLsn, stopLsn: String
        let size: Int64
        let choice: String
    }
    struct Timeline: Encodable {
        let timeline: UInt32
        let begin: String
        let end: String?
    }
    struct Range: Encodable {
        let first, last: String
        let count: Int
    }
    struct WAL: Encodable {
        let count: Int
        let size: Int64
        let segments: [Range]
        /// Names of segments that a dead server left in its pg_wal and that `recover` archives first.
        let waiting: [String]
    }
    struct Stop: Encodable {
        /// `before` or `after` the record; `end` of the archive.
        let side: String
        let record: String?
        let lsn: String
    }
    struct Transaction: Encodable {
        let xid: UInt32
        let time, lsn: String
        /// Tables, as far as known.
        let changed: [String]?
    }
    struct Estimate: Encodable {
        let restoreSeconds, replaySeconds: Double
    }

    let target: Target
    let backup: Backup
    let timelines: [Timeline]
    let wal: WAL
    let stop: Stop
    let lastIncluded: Transaction?
    let firstExcluded: Transaction?
    let estimate: Estimate?
    let archiving: Bool
    let settings: [String: String]
    let tablespaces: [CopyTablespaces.Place]
    let warnings: [String]

    /// A recovery's plan with its outlook.
    public init(_ planned: PlannedRecovery) throws {
        let outlook = try planned.outlook()
        self.init(planned, touched: outlook.touched, estimate: outlook.estimate, remarks: outlook.remarks)
    }

    /// The plan for tables.
    public init(_ job: TableRecoveryJob) {
        self.init(job.plan, settings: [], archiving: false, remarks: job.remarks)
    }

    init(
        _ planned: PlannedRecovery, touched: [UInt32: [String]] = [:],
        estimate: (restore: Double, replay: Double)? = nil, remarks: [String]
    ) {
        self.init(
            planned.plan, settings: planned.settings, archiving: planned.setup.isOwnDirectory,
            tablespaces: planned.tablespacePlaces, touched: touched, estimate: estimate, remarks: remarks)
    }

    init(
        _ plan: Plan, settings: [RecoverySetting], archiving: Bool,
        tablespaces: [CopyTablespaces.Place] = [], touched: [UInt32: [String]] = [:],
        estimate: (restore: Double, replay: Double)? = nil, remarks: [String] = []
    ) {
        let (kind, value): (String, String?) =
            switch plan.target.point {
            case .time(let time): ("time", time.iso8601)
            case .lsn(let lsn): ("lsn", lsn.description)
            case .xid(let xid): ("xid", String(xid))
            case .name(let name): ("name", name)
            case .immediate: ("immediate", nil)
            case .latest: ("latest", nil)
            }
        target = Target(
            kind: kind, value: value, inclusive: plan.target.inclusive, timeline: plan.timeline.description)
        backup = Backup(
            label: plan.backup.label, timeline: plan.backup.timeline.rawValue,
            startTime: plan.backup.startTime.iso8601, stopTime: plan.backup.stopTime.iso8601,
            startLsn: plan.backup.start.description, stopLsn: plan.backup.stop.description, size: plan.backup.size,
            choice: plan.choice)
        timelines = plan.path.steps.map {
            Timeline(timeline: $0.timeline.rawValue, begin: $0.begin.description, end: $0.end?.description)
        }
        wal = WAL(
            count: plan.segmentCount, size: plan.walSize,
            segments: plan.segments.map {
                Range(first: $0.first.description, last: $0.last.description, count: $0.count)
            }, waiting: plan.waiting.map(\.description))
        stop = Stop(
            side: plan.stop.map { $0.after ? "after" : "before" } ?? "end",
            record: plan.stop?.record.start.description, lsn: plan.end.description)
        func transaction(_ mark: TransactionMark) -> Transaction {
            Transaction(
                xid: mark.xid, time: mark.time.iso8601, lsn: mark.lsn.description, changed: touched[mark.xid])
        }
        lastIncluded = plan.lastIncluded.map(transaction)
        firstExcluded = plan.firstExcluded.map(transaction)
        self.estimate = estimate.map { Estimate(restoreSeconds: $0.restore, replaySeconds: $0.replay) }
        self.archiving = archiving
        self.tablespaces = tablespaces
        self.settings = Dictionary(settings.map { ($0.name, $0.value) }) { $1 }
        warnings = plan.warnings + remarks
    }
}

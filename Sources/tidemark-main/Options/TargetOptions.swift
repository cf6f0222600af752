import Configuration
import Operations
import Planning
import Recovery
import WAL

/// The options for a recovery target, shared by `plan`, `recover` and others.
enum TargetOptions {
    static let options: [Grammar.Option] = [
        .init("target-time", value: "TIME", "stop after the last transaction that ended by this time"),
        .init("target-lsn", value: "LSN", "stop after the record that starts here"),
        .init("target-xid", value: "XID", "stop after the end of this transaction"),
        .init("target-name", value: "NAME", "stop at this restore point"),
        .init("target", value: "immediate|latest", "stop as soon as the backup is consistent; or at the archive's end"),
        .init("exclusive", "stop just before the target instead of just after it"),
        .init(
            "target-timeline", value: "latest|current|N",
            "the timeline to follow: the newest, the backup's own, or this one (default: the cluster's)"),
        .init(
            "backup", value: "LABEL",
            "start from this backup instead of the best one: a label, the beginning of one, oldest or latest"),
        .init(
            "incarnation", value: "NAME",
            "recover what the cluster was before initdb or pg_upgrade (default: the one that has the backup or the time)"
        ),
    ]

    /// Those that name a point.
    static let points = ["target-time", "target-lsn", "target-xid", "target-name", "target"]

    /// The point, with the timeline, backup and incarnation that the options name.
    static func request(_ point: TargetRequest.Point, _ arguments: Arguments) throws -> TargetRequest {
        TargetRequest(
            point, timeline: try timeline(arguments.value("target-timeline")), backup: arguments.value("backup"),
            incarnation: arguments.value("incarnation"))
    }

    /// The request in the options.
    /// - Throws: `UsageError`, `MomentError`.
    static func request(_ arguments: Arguments, zone: String?) throws -> TargetRequest {
        let given = points.filter(arguments.has)
        guard let option = given.first, let text = arguments.value(option) else {
            throw UsageError(
                "no recovery target",
                hint: "Name one: --target-time, --target-lsn, --target-xid, --target-name, --target immediate or "
                    + "--target latest.")
        }
        guard given.count == 1 else {
            throw UsageError("--\(given[0]) and --\(given[1]) exclude each other", hint: "Name one target.")
        }
        let target = RecoveryTarget(
            try point(option, text, zone: zone), inclusive: !arguments.has("exclusive"))
        if arguments.has("exclusive") {
            switch target.point {
            case .name, .immediate, .latest:
                throw UsageError("--exclusive goes with --target-time, --target-lsn and --target-xid only")
            case .time, .lsn, .xid: break
            }
        }
        return try request(.target(target), arguments)
    }

    private static func point(_ option: String, _ text: String, zone: String?) throws -> RecoveryTarget.Point {
        switch option {
        case "target-time": return .time(try Moment(parsing: text, zone: zone))
        case "target-lsn":
            guard let lsn = LSN(text) else {
                throw UsageError(
                    "invalid LSN \"\(text)\"",
                    hint: "It is written as two hexadecimal numbers, for example 16/B374D848.")
            }
            return .lsn(lsn)
        case "target-xid":
            guard let xid = UInt64(text) else {
                throw UsageError("invalid transaction id \"\(text)\"", hint: "It is a whole number.")
            }
            // pg_current_xact_id() shows the epoch in the upper half; WAL has the lower half only.
            return .xid(UInt32(truncatingIfNeeded: xid))
        case "target-name":
            guard (1...63).contains(text.utf8.count) else {
                throw UsageError("a restore point's name has 1 to 63 bytes", hint: nil)
            }
            return .name(text)
        default:
            switch text {
            case "immediate": return .immediate
            case "latest": return .latest
            default:
                throw UsageError("--target takes \"immediate\" or \"latest\", not \"\(text)\"")
            }
        }
    }

    /// What `--target-timeline` takes; nil for the default.
    static func word(_ timeline: RecoveryTarget.Timeline) -> String? {
        switch timeline {
        case .own: nil
        case .latest: "latest"
        case .current: "current"
        case .number(let number): number.description
        }
    }

    private static func timeline(_ text: String?) throws -> RecoveryTarget.Timeline {
        switch text {
        case nil: return .own
        case "latest": return .latest
        case "current": return .current
        case let number?:
            guard let value = UInt32(number), value > 0 else {
                throw UsageError("--target-timeline takes \"latest\", \"current\" or a number, not \"\(number)\"")
            }
            return .number(TimelineID(value))
        }
    }
}

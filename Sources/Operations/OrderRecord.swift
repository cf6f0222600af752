import Configuration
import Planning
import Platform
public import Recovery
import TableRecovery
import WAL

extension RecoveryOrder {
    /// As it is recorded when it is carried out. The timeline that the plan has chosen is part of it: the reasons for
    /// the choice may be gone when the recovery is resumed.
    func recorded(following planned: PlannedRecovery) -> RecordedOrder {
        let plan = planned.plan
        var target = target
        switch target.timeline {
        case .own, .latest: target.timeline = .number(plan.history)
        case .current, .number: break
        }
        // The record names the timeline, which would otherwise mean that what was put aside is read.
        target.readsAside = planned.archive.putAside != nil
        // A word means another backup once there is a newer one.
        if target.backup != nil { target.backup = plan.backup.label }
        if case .anyMoment = target.point { target.point = .target(plan.target) }
        return recorded(target)
    }

    func recorded(_ target: TargetRequest) -> RecordedOrder {
        return RecordedOrder(
            target.recorded, tablespaces: tablespaces, action: action.rawValue, isStandby: isStandby,
            settings: settings.map { "\($0.name)=\($0.value)" }, isDelta: isDelta, keepsOld: keepsOld, starts: starts,
            logFile: logFile, overrides: overrides.map { "\($0)=\($1)" }.sorted(), remarks: remarks)
    }

    /// The order of an interrupted recovery, without what contained passwords (`RecoveryState`).
    /// - Throws: `Problem`, `BadTablePattern`, when the record makes no sense.
    public init(of state: RecoveryState) throws {
        let recorded = state.order
        self.init(try TargetRequest(recorded.target), directory: state.directory)
        guard let action = TargetAction(rawValue: recorded.action) else { throw Self.unreadable(recorded.action) }
        self.action = action
        tablespaces = recorded.tablespaces
        (isStandby, isDelta, keepsOld) = (recorded.isStandby, recorded.isDelta, recorded.keepsOld)
        settings = recorded.settings.map(RecordedOrder.parts).map { RecoverySetting($0.name, $0.value) }
        (starts, logFile) = (recorded.starts, recorded.logFile)
        for (name, value) in recorded.overrides.map(RecordedOrder.parts) {
            guard Setting.flags.contains(where: { $0.name == name }) else { throw Self.unreadable(name) }
            overrides[name] = value
        }
        remarks = recorded.remarks
    }

    fileprivate static func unreadable(_ text: String) -> Problem {
        Problem("cannot understand \"\(text)\" in the record of an interrupted recovery")
    }
}

extension TargetRequest {
    fileprivate var recorded: RecordedOrder.Target {
        func record(
            _ kind: RecordedOrder.Target.Kind, _ values: [String] = [], isInclusive: Bool = true,
            isDatabaseMeant: Bool = false
        ) -> RecordedOrder.Target {
            RecordedOrder.Target(
                kind, values, isInclusive: isInclusive, isDatabaseMeant: isDatabaseMeant, timeline: timelineWord,
                backup: backup, incarnation: incarnation, usesPartials: usesPartials, readsAside: readsAside)
        }
        switch point {
        case .target(let target):
            let isInclusive = target.inclusive
            switch target.point {
            case .time(let moment): return record(.time, ["\(moment.microseconds)"], isInclusive: isInclusive)
            case .lsn(let lsn): return record(.lsn, [lsn.description], isInclusive: isInclusive)
            case .xid(let xid): return record(.xid, ["\(xid)"], isInclusive: isInclusive)
            case .name(let name): return record(.name, [name], isInclusive: isInclusive)
            case .immediate: return record(.immediate, isInclusive: isInclusive)
            case .latest: return record(.latest, isInclusive: isInclusive)
            }
        case .beforeDrop(let tables, let isDatabaseMeant):
            return record(.beforeDrop, tables.map(\.text), isDatabaseMeant: isDatabaseMeant)
        case .beforeDropOfDatabase(let name): return record(.beforeDatabaseDrop, [name])
        // Once it is planned, it is some time (`recorded(following:)`).
        case .anyMoment: return record(.latest)
        }
    }

    private var timelineWord: String {
        switch timeline {
        case .own: "own"
        case .latest: "latest"
        case .current: "current"
        case .number(let number): "\(number.rawValue)"
        }
    }

    fileprivate init(_ recorded: RecordedOrder.Target) throws {
        func value<Value>(_ parse: (String) -> Value?) throws -> Value {
            guard let text = recorded.values.first, let value = parse(text) else {
                throw RecoveryOrder.unreadable(recorded.values.first ?? recorded.kind.rawValue)
            }
            return value
        }
        let timeline: RecoveryTarget.Timeline
        switch recorded.timeline {
        case "own": timeline = .own
        case "latest": timeline = .latest
        case "current": timeline = .current
        case let text:
            guard let number = UInt32(text) else { throw RecoveryOrder.unreadable(text) }
            timeline = .number(TimelineID(number))
        }
        func target(_ point: RecoveryTarget.Point) -> Point {
            .target(RecoveryTarget(point, inclusive: recorded.isInclusive))
        }
        let point: Point
        switch recorded.kind {
        case .time: point = target(.time(Moment(microseconds: try value { Int64($0) })))
        case .lsn: point = target(.lsn(try value { LSN($0) }))
        case .xid: point = target(.xid(try value { UInt32($0) }))
        case .name: point = target(.name(try value { $0 }))
        case .immediate: point = target(.immediate)
        case .latest: point = target(.latest)
        case .beforeDrop:
            point = .beforeDrop(
                of: try recorded.values.map { try TablePattern($0) }, isDatabaseMeant: recorded.isDatabaseMeant)
        case .beforeDatabaseDrop: point = .beforeDropOfDatabase(try value { $0 })
        }
        self.init(point, timeline: timeline, backup: recorded.backup, incarnation: recorded.incarnation)
        (usesPartials, readsAside) = (recorded.usesPartials, recorded.readsAside)
    }
}

import Planning
import Testing
import WAL

/// The command line's options, read back as a shell would.
func planRequest(_ arguments: [String], _ known: KnownPlace?) throws -> PlanRequest {
    func value(_ option: String) -> String? {
        arguments.firstIndex(of: option).map { index in
            let word = arguments[index + 1]
            guard word.hasPrefix("'") else { return word }
            return String(word.dropFirst().dropLast().replacing("'\\''", with: "'"))
        }
    }
    let point: RecoveryTarget.Point
    if let text = value("--target-time") {
        point = .time(try #require(Moment(iso8601: text.replacing(" ", with: "T").replacing("+00", with: "Z"))))
    } else if let text = value("--target-lsn") {
        point = .lsn(try #require(LSN(text)))
    } else if let text = value("--target-xid") {
        point = .xid(try #require(UInt32(text)))
    } else if let text = value("--target-name") {
        point = .name(text)
    } else {
        point = value("--target") == "immediate" ? .immediate : .latest
    }
    var target = RecoveryTarget(point, inclusive: !arguments.contains("--exclusive"))
    switch value("--target-timeline") {
    case nil: break
    case "latest": target.timeline = .latest
    case "current": target.timeline = .current
    case let text?: target.timeline = .number(TimelineID(try #require(UInt32(text))))
    }
    return PlanRequest(target, backup: value("--backup"), known: known)
}

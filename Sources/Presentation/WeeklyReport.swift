import Configuration
import Jobs
public import Monitoring
public import Notifications
import WAL

/// The week in a notification: the numbers as its details, the page for e-mail.
public func weeklyReport(_ observation: Observation, _ results: [CheckResult], page: String, host: String)
    -> Notification
{
    let wrong = results.filter { $0.status.nagios != 0 }
    let week = observation.jobs.filter { observation.age($0.finished) <= 7 * 86_400 }
    var details = observation.twoNumbers.map {
        Notification.Detail($0.question.lowercased(), "\($0.answer) (\($0.remark))")
    }
    details.append(Notification.Detail("reach", observation.reach))
    for kind in JobKind.allCases {
        let jobs = week.filter { $0.kind == kind }
        guard !jobs.isEmpty else { continue }
        let failed = jobs.count { $0.result != .success }
        details.append(
            Notification.Detail(
                "\(kind.rawValue) this week", "\(jobs.count)" + (failed > 0 ? ", \(failed) not well" : "")))
    }
    details += wrong.map { Notification.Detail("check \($0.id)", "\($0.status.rawValue): \($0.message)") }
    let status: Notification.Status =
        switch CheckResult.worst(results) {
        case .ok, .silenced: .success
        case .critical: .error
        case .warning, .unknown: .warning
        }
    return Notification(
        event: .weeklyReport, status: status, cluster: observation.cluster, host: host, time: observation.now,
        // Each week's report is sent, whatever the last one said.
        subject: "weekly report \(observation.now.compact)",
        message: wrong.isEmpty
            ? "weekly report: all \(results.count) checks are well"
            : "weekly report: \(wrong.count) of \(results.count) checks are not well",
        details: details, html: page)
}

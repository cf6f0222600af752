public import Jobs
import Monitoring
import Platform
import WAL

/// The records of jobs.
///
/// - Parameter days: how many days they cover; nil for all.
public func historyText(_ jobs: [JobRecord], days: Int?) -> String {
    guard !jobs.isEmpty else {
        return days.map { "No jobs are recorded in the last \(counted($0, "day"))." } ?? "No jobs are recorded."
    }
    var table = TextTable(["started", "job", "took", "result", "by", "about"], [.left, .left, .right])
    for job in jobs {
        table.add([
            wholeSeconds(job.started), job.kind.rawValue, durationText(milliseconds: job.duration),
            job.result.rawValue, "\(job.user)@\(job.host)", about(job),
        ])
    }
    return table.text
}

/// The error, or else the job's facts, the label first.
private func about(_ job: JobRecord) -> String {
    if let message = job.message { return message }
    let label = job.facts["label"].map { [$0] } ?? []
    let others = job.facts.filter { $0.key != "label" && $0.key != ExpiredWAL.fact }.sorted { $0.key < $1.key }
    return (label + others.map { "\($0.key) \($0.value)" }).joined(separator: ", ")
}

import Backups
public import Operations
import Recovery

/// A job's progress in one line.
///
/// - Parameter leavesServer: whether the replaying server continues when the job is interrupted.
public func progressText(_ progress: JobProgress, leavesServer: Bool = false) -> String {
    switch progress {
    case .waitingForCheckpoint: "waiting for the server's checkpoint"
    case .copying(let progress): "copying: " + text(progress)
    case .waitingForWAL(let file, let behind): "waiting for WAL file \"\(file)\": \(behind)"
    case .restoring(let progress): "restoring: " + text(progress)
    case .replaying(let progress): text(progress, leavesServer: leavesServer)
    case .takingOut(let table): "copying \(table)"
    case .verifying(let backup, let progress): "verifying \(backup): \(text(progress))"
    case .verifyingWAL(let done, let total): "verifying WAL: \(done) of \(total) segments"
    case .readingSegments(let done, let total): "reading segments: \(done) of \(total)"
    case .importing(let done, let total): "imported \(done) of \(total) files"
    }
}

/// `42 % of 3.1 GB, 210 MB/s, 9 s left`.
private func text(_ progress: CopyProgress) -> String {
    let percent = progress.total > 0 ? progress.done * 100 / progress.total : 100
    return "\(percent) % of \(size(progress.total)), \(size(Int64(progress.rate)))/s"
        + (progress.secondsLeft.map { ", \(Int($0.rounded(.up))) s left" } ?? "")
}

private func text(_ progress: ReplayProgress, leavesServer: Bool) -> String {
    let standstill = progress.standstill.map { "; \($0)" } ?? ""
    let place: String
    if let segment = progress.segment {
        place = "\(segment), \(progress.done)"
    } else if progress.done > 0 {
        // A temporary cluster for tables reports only this much.
        place = "segment \(progress.done)"
    } else {
        return "the server is starting" + standstill
    }
    let rest =
        progress.standstill == nil
        ? progress.segment == nil ? "" : progress.secondsLeft.map { ", \(Int($0.rounded(.up))) s left" } ?? ""
        : standstill + (leavesServer ? " Interrupt to leave the server to itself." : "")
    return "replaying \(place) of \(progress.total)" + (progress.time.map { ", reached \($0)" } ?? "") + rest
}

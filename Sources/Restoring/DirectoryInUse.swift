import DataDirectory

/// Refuses a directory unless it is certain that no server runs on it.
/// - Throws: `TargetInUse`.
public func refuseIfInUse(_ directory: String) throws {
    let life = try DataDirectory(directory).serverLife()
    guard let reason = life.sentence else { return }
    var advice = "Stop that server, or choose another directory with --data-directory."
    switch life {
    case .none, .running, .atWork: break
    case .replaced:
        advice =
            "When you are certain that no server runs on it, remove \"\(directory)/postmaster.pid\", and run the command "
            + "again."
    case .unknown:
        advice =
            "Stop that server if it runs. When you are certain that none runs, remove \"\(directory)/postmaster.pid\", and "
            + "run the command again."
    }
    throw TargetInUse(path: directory, reason: reason, advice: advice)
}

import DataDirectory
import Platform
import Postgres

extension LeftTarget {
    /// Reads the configuration files, not the server's current settings: the server reads them at its start, and a
    /// standby made from it reads its copy of them.
    ///
    /// - Parameter connection: nil while the server is down.
    static func find(in directory: DataDirectory, _ connection: Connection?) throws -> [LeftTarget] {
        guard try Files.exists(directory.path) else {
            throw Problem("data directory \"\(directory.path)\" does not exist")
        }
        // A recovery in progress needs its targets. A standby is meant to run for ever, but obeys targets that it
        // inherited from the server it was made from.
        let follows = try Files.exists(directory.path + "/standby.signal")
        guard try follows || RecoveryRecord.isOver(in: directory), try follows || connection?.isStandby() != true else {
            return []
        }
        let top = try connection?.setting("config_file").flatMap { $0.isEmpty ? nil : $0 }
        let files = try ConfigurationFiles(of: directory, top: top)
        var found: [String: LeftTarget] = [:]
        for entry in files.effective.values where RecoveryRecord.isTarget(entry.name) {
            found[entry.name] = LeftTarget(entry.name, entry.value, file: entry.file)
        }
        let commandLine = try connection?.query(
            "SELECT name, setting FROM pg_settings WHERE name LIKE 'recovery\\_target%' AND source = 'command line'")
        for row in commandLine?.values ?? [] {
            if let name = row[0], let value = row[1] { found[name] = LeftTarget(name, value, file: nil) }
        }
        return found.values.filter { !$0.value.isEmpty }.sorted { $0.name < $1.name }
    }
}

extension Observation {
    var recoverySettingsVerdict: Verdict {
        guard let leftTargets else {
            return .unknown(leftTargetsProblem ?? "The server's configuration files could not be read.")
        }
        let values = Dictionary(leftTargets.map { ($0.name, $0.value) }) { $1 }
        let targets = leftTargets.filter { Self.consequences[$0.name] != nil }
        let timeline = leftTargets.first { $0.name == "recovery_target_timeline" && $0.value != "latest" }
        let harmful = targets + (timeline.map { [$0] } ?? [])
        guard !harmful.isEmpty else { return .ok("No recovery targets are left over.") }
        if isFollowing {
            let list = harmful.map { "\($0.name) = '\($0.value)'" }.joined(separator: ", ")
            let effect =
                targets.isEmpty
                ? "doesn't follow when another server is promoted"
                : "\(Self.action(values["recovery_target_action"])) there, and lacks everything after that when it takes over"
            return .warning("This standby has \(list): it \(effect).", remedy(leftTargets) + "; restart the standby")
        }
        var consequences: [String] = []
        if targets.count > 1 {
            consequences.append("A standby created from this server doesn't start: it has several targets.")
        } else if let target = targets.first, let consequence = Self.consequences[target.name] {
            consequences.append(consequence(target.value, Self.action(values["recovery_target_action"])))
        }
        if let timeline {
            consequences.append(
                "A standby created from this server doesn't follow when another is promoted (timeline \(timeline.value))."
            )
        }
        let list = harmful.map { "\($0.name) = '\($0.value)'" }.joined(separator: ", ")
        // Settings without effect unless there is a target are removed as well.
        let manners = ["recovery_target_inclusive", "recovery_target_action"]
        let all = harmful + leftTargets.filter { manners.contains($0.name) }
        return .warning("\(list) is left over from a recovery. \(consequences.joined(separator: " "))", remedy(all))
    }

    /// The effect of `recovery_target_action` (default: pause) in a standby that has reached the target.
    private static func action(_ value: String?) -> String {
        switch value {
        case "promote": "promotes itself"
        case "shutdown": "shuts down"
        default: "stops replaying"
        }
    }

    /// The effect of a target in a standby made from the server (`recoveryStopsBefore` and `PerformWalRecovery`,
    /// xlogrecovery.c): the target has passed, or it stops at the next match.
    private static let consequences: [String: @Sendable (_ value: String, _ action: String) -> String] = [
        "recovery_target": { "A standby created from this server \($1) as soon as it is consistent." },
        "recovery_target_time": { "A standby created from this server \($1) at the first commit after \($0)." },
        "recovery_target_lsn": { _, _ in
            "A standby created from this server doesn't start (\"requested recovery stop point is before consistent recovery point\")."
        },
        "recovery_target_name": { _, _ in neverReached },
        "recovery_target_xid": { _, _ in neverReached },
    ]
    private static let neverReached =
        "A standby created from this server dies when it is promoted (\"recovery ended before configured recovery target was reached\")."

    private func remedy(_ targets: [LeftTarget]) -> String {
        var steps: [String] = []
        let automatic = targets.filter { $0.file.map(Files.name) == ConfigurationFiles.automatic }
        if !automatic.isEmpty {
            let resets = automatic.map { " -c \"ALTER SYSTEM RESET \($0.name)\"" }.joined()
            steps.append(runnableAsOwner("psql\(conninfo.map { " " + shellQuoted($0) } ?? "")\(resets)"))
        }
        let others = targets.filter { $0.file != nil && !automatic.contains($0) }
        for file in Set(others.compactMap(\.file)).sorted() {
            let names = others.filter { $0.file == file }.map(\.name).joined(separator: "|")
            steps.append("sed -i -E 's/^[[:space:]]*(\(names))([[:space:]=])/#&/I' \(shellQuoted(file))")
        }
        if targets.contains(where: { $0.file == nil }) {
            steps.append("restart the server without them on its command line")
        }
        return "Remove them: \(steps.joined(separator: "; "))"
    }
}

import Backups
import DataDirectory
import Planning
import Platform

/// The lines that a recovery writes into `postgresql.auto.conf`, between two comment lines, with a record of those to
/// be removed at its end.
struct SettingsBlock {
    let directory: DataDirectory
    let setup: RecoverySetup
    /// The server's configuration file, when it is elsewhere.
    let configurationFile: String?
    let relocation: Relocation
    /// The minimum values that replay demands.
    let demands: [String: Int64]
    /// The setting that every later start demands as well.
    private let lasting: String

    init(_ request: RecoverRequest, serverOptions: [String]) {
        (directory, setup) = (DataDirectory(request.directory), request.setup)
        lasting = HostDemands.roomForOrigins(major: request.plan.majorVersion)
        // The WAL replayed so far may have demanded more than the plan knew.
        let soFar = (try? directory.controlFile()).map(HostDemands.soFar) ?? [:]
        demands = HostDemands.ofReplay(request.plan, original: request.backup.settings).merging(soFar) { max($0, $1) }
        configurationFile = ServerConfiguration.file(in: serverOptions)
        relocation = ServerConfiguration(request.backup, directory: request.directory, setup: request.setup).relocation
    }

    /// Writes `settings` in place of those of an earlier recovery, in one step. Other lines of the same names are
    /// removed only where the new values are to stay; where the recovery needs a value, the original's takes effect
    /// again afterwards.
    func write(_ settings: [RecoverySetting]) throws {
        let path = directory.path + "/" + ConfigurationFiles.automatic
        let earlier = try RecoveryRecord(in: directory)?.settings ?? []
        let old = RecoveryRecord(earlier).removed(
            from: withoutBlock(try Files.exists(path) ? Files.read(path) : []))
        let before = try effective(with: old)
        // config_file can't be set in this file, which the server reads after it.
        var lines = settings.filter { $0.name != "config_file" && !isIdle($0, before) }
        let named = Set(settings.map(\.name))
        // The last line of a name counts, but each is assigned: resetting a target after another one was set is an
        // error as well (`assign_recovery_target`, src/backend/access/transam/xlogrecovery.c).
        lines = neutral(before).filter { !named.contains($0.name) } + lines
        lines += relocation.overrides(before, isOwn: setup.isOwnDirectory).filter { !named.contains($0.name) }
        let demanded = HostDemands.lacking(demands, in: before.mapValues(\.value)).filter { !named.contains($0.name) }
        lines += demanded
        lines += CopySettings.libraries({ before[$0]?.value }, setup, named)
        if setup.isOwnDirectory, let place = lines.firstIndex(where: { $0.name == "recovery_end_command" }),
            !setup.extra.contains(where: { $0.name == "recovery_end_command" })
        {
            lines[place] = RecoverySetting(
                "recovery_end_command", lines[place].value.followed(by: before["recovery_end_command"]?.value ?? ""))
        }
        // What replay demands the server has no need of afterwards; but the origins are there at its next start. A
        // standby that was promoted may become one again.
        let passing =
            passes
            ? lines.filter {
                $0.isForRecoveryOnly || !setup.isStandby && demanded.contains($0) && $0.name != lasting
            }.map { RecoveryRecord.Setting($0.name, $0.value) }
            : []
        let staying = Set(lines.map(\.name)).subtracting(passing.map(\.name))
        var kept = old.split(separator: 10, omittingEmptySubsequences: false).filter { line in
            !staying.contains(ConfigurationLine(line)?.name ?? "")
        }
        while kept.last?.isEmpty == true { kept.removeLast() }
        let text =
            kept.map { Array($0) }
            + ([RecoveryRecord.begin] + lines.map(\.line) + [RecoveryRecord.end, ""]).map { Array($0.utf8) }
        // The record covers every line that the file may have: after an interruption it has both recoveries' lines.
        if passes || !earlier.isEmpty { try RecoveryRecord(earlier + passing).write(in: directory) }
        try replaceDurably(path, bytes: Array(text.joined(separator: [10])), mode: 0o600)
        if passes {
            try RecoveryRecord(passing).write(in: directory)
        } else {
            try Files.removeIfPresent(directory.path + "/" + RecoveryRecord.fileName)
        }
    }

    /// Whether a line isn't needed: the configuration doesn't turn on what it turns off.
    private func isIdle(_ setting: RecoverySetting, _ before: [String: ConfigurationFiles.Entry]) -> Bool {
        setting.isForRecoveryOnly && before[setting.name] == nil && CopySettings.isNeutral(setting)
            && !setup.extra.contains { $0.name == setting.name }
    }

    /// Whether the recovery's settings go at its end; a standby's is its promotion.
    private var passes: Bool { setup.endCommand != nil }

    private func withoutBlock(_ text: [UInt8]) -> [UInt8] {
        var inside = false
        var kept: [ArraySlice<UInt8>] = []
        for line in text.split(separator: 10, omittingEmptySubsequences: false) {
            if line.elementsEqual(RecoveryRecord.begin.utf8) { inside = true }
            if !inside { kept.append(line) }
            if line.elementsEqual(RecoveryRecord.end.utf8) { inside = false }
        }
        return Array(kept.joined(separator: [10]))
    }

    /// The settings that would be in effect without this recovery, as far as its configuration can be read;
    /// `ServerConfiguration` reports what can't.
    private func effective(with automatic: [UInt8]) throws -> [String: ConfigurationFiles.Entry] {
        let files = try ConfigurationFiles(of: directory, top: configurationFile, passingOver: true)
        let own = directory.path + "/" + ConfigurationFiles.automatic
        var values: [String: ConfigurationFiles.Entry] = [:]
        for entry in files.entries where entry.file != own { values[entry.name] = entry }
        for (index, line) in automatic.split(separator: 10, omittingEmptySubsequences: false).enumerated() {
            guard let line = ConfigurationLine(line) else { continue }
            values[line.name] = .init(name: line.name, value: line.value, file: own, line: index + 1)
        }
        return values
    }

    /// Resets targets that the configuration still holds from an earlier recovery: they would apply to this one or,
    /// with a target of its own, keep the server from starting (`error_multiple_recovery_targets`).
    private func neutral(_ before: [String: ConfigurationFiles.Entry]) -> [RecoverySetting] {
        before.keys.filter(RecoveryRecord.isTarget).sorted().compactMap { name in
            let standard: String? =
                switch name {
                case "recovery_target", "recovery_target_time", "recovery_target_lsn", "recovery_target_xid",
                    "recovery_target_name":
                    ""
                case "recovery_target_timeline": "latest"
                default: nil
                }
            return standard.flatMap { $0 == before[name]?.value ? nil : RecoverySetting(name, $0) }
        }
    }
}

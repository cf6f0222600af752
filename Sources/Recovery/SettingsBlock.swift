import Backups
import DataDirectory
import Planning
import Platform

/// What a recovery writes into `postgresql.auto.conf`, between two comment lines, with the record of what is to go at its
/// end.
struct SettingsBlock {
    let directory: DataDirectory
    let setup: RecoverySetup
    /// The server's configuration file, when it is elsewhere.
    let configurationFile: String?
    let relocation: Relocation
    /// Settings that replay demands, at least.
    let demands: [String: Int64]
    /// Demanded by every later start as well.
    private let lasting: String

    init(_ request: RecoverRequest, serverOptions: [String]) {
        (directory, setup) = (DataDirectory(request.directory), request.setup)
        lasting = HostDemands.roomForOrigins(major: request.plan.majorVersion)
        // Behind what the plan knew the WAL may have demanded more already.
        let soFar = (try? directory.controlFile()).map(HostDemands.soFar) ?? [:]
        demands = HostDemands.ofReplay(request.plan, original: request.backup.settings).merging(soFar) { max($0, $1) }
        configurationFile = ServerConfiguration.file(in: serverOptions)
        relocation = ServerConfiguration(request.backup, directory: request.directory, setup: request.setup).relocation
    }

    /// Writes `settings` instead of those of an earlier recovery, in one step. The file's other lines of the same names go
    /// only where the new ones are to stay; of those that the recovery needs, the original's own count again afterwards.
    func write(_ settings: [RecoverySetting]) throws {
        let path = directory.path + "/" + ConfigurationFiles.automatic
        let earlier = try RecoveryRecord(in: directory)?.settings ?? []
        let old = RecoveryRecord(earlier).removed(
            from: withoutBlock(try Files.exists(path) ? Files.read(path) : []))
        let before = try effective(with: old)
        // The server knows its configuration file before it reads this one, and refuses to be told here.
        var lines = settings.filter { $0.name != "config_file" && !isIdle($0, before) }
        let named = Set(settings.map(\.name))
        // The last line of a name counts, but each is assigned: setting a target back to nothing after another one was set
        // is an error as well (`assign_recovery_target`, src/backend/access/transam/xlogrecovery.c).
        lines = neutral(before).filter { !named.contains($0.name) } + lines
        lines += relocation.overrides(before, isOwn: setup.isOwnDirectory).filter { !named.contains($0.name) }
        let demanded = HostDemands.lacking(demands, in: before.mapValues(\.value)).filter { !named.contains($0.name) }
        lines += demanded
        lines += CopySettings.libraries(before["shared_preload_libraries"]?.value, setup, named)
        if setup.isOwnDirectory, let place = lines.firstIndex(where: { $0.name == "recovery_end_command" }),
            !setup.extra.contains(where: { $0.name == "recovery_end_command" })
        {
            lines[place] = RecoverySetting(
                "recovery_end_command", lines[place].value.followed(by: before["recovery_end_command"]?.value ?? ""))
        }
        // What replay demands the server has no need of afterwards; but the origins are there at its next start. A standby
        // that was promoted may become one again.
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
        // A line that is there is always in the record: whoever is killed in between finds both recoveries' in it.
        if passes || !earlier.isEmpty { try RecoveryRecord(earlier + passing).write(in: directory) }
        try replaceDurably(path, bytes: Array(text.joined(separator: [10])), mode: 0o600)
        if passes {
            try RecoveryRecord(passing).write(in: directory)
        } else {
            try Files.removeIfPresent(directory.path + "/" + RecoveryRecord.fileName)
        }
    }

    /// Whether a line only says what is so without it: a copy's recovery needn't be kept from what the original doesn't do.
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

    /// What the server would use without this recovery, as far as its configuration can be read; `ServerConfiguration` tells
    /// what can't.
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

    /// Targets that the configuration still holds from an earlier recovery would rule this one, or, with one of its own,
    /// keep the server from starting (`error_multiple_recovery_targets`): they are set back to their defaults.
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

public import Configuration
import WAL

/// Judges what was observed, check by check, in the order of `CheckDefinition.all`.
public func judge(_ observation: Observation, by configuration: CheckConfiguration) -> [CheckResult] {
    CheckDefinition.all.map { definition in
        let (warning, critical) = configuration.limits(definition)
        let limits = Limits(definition: definition, warning: warning, critical: critical)
        let verdict = observation.verdict(limits)
        var result = CheckResult(
            definition: definition, status: verdict.status, message: verdict.message, nextStep: verdict.nextStep,
            value: verdict.value, warning: warning, critical: critical)
        if let silence = configuration.silence(definition), verdict.status != .ok {
            let today = observation.now.iso8601.prefix(10)
            if silence.until.map({ today <= $0[...] }) ?? true {
                result.silencedStatus = result.status
                result.status = .silenced
                result.silence = silence.reason + (silence.until.map { " (until \($0))" } ?? "")
            }
        }
        return result
    }
}

extension Observation {
    fileprivate func verdict(_ limits: Limits) -> Verdict {
        switch limits.definition.id {
        case "server": serverVerdict
        case "server_settings": settingsVerdict
        case "recovery_settings": recoverySettingsVerdict
        case "clock": clockVerdict(limits)
        case "version": versionVerdict
        case "archiving": archivingVerdict(limits)
        case "archive_backlog": backlogVerdict(limits)
        case "wal_continuity": continuityVerdict
        case "timelines": timelinesVerdict
        case "rpo": lossVerdict(limits)
        case "recovery_window": windowVerdict(limits)
        case "rto": downtimeVerdict(limits)
        case "backup_age": backupAgeVerdict(limits)
        case "backup_size": backupSizeVerdict(limits)
        case "backup_health": backupHealthVerdict
        case "verify": verificationVerdict(.backups, limits)
        case "verify_wal": verificationVerdict(.wal, limits)
        case "drill": rehearsalVerdict(limits)
        case "repository_space": spaceVerdict(limits)
        case "repository_growth": growthVerdict(limits)
        case "places": placesVerdict
        case "permissions": permissionsVerdict
        case "notifications": notificationsVerdict
        default: .unknown("There is no rule for it.")
        }
    }
}

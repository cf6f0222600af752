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
        switch limits.definition.check {
        case .server: serverVerdict
        case .serverSettings: settingsVerdict
        case .recoverySettings: recoverySettingsVerdict
        case .clock: clockVerdict(limits)
        case .version: versionVerdict
        case .archiving: archivingVerdict(limits)
        case .archiveBacklog: backlogVerdict(limits)
        case .walContinuity: continuityVerdict
        case .timelines: timelinesVerdict
        case .rpo: lossVerdict(limits)
        case .recoveryWindow: windowVerdict(limits)
        case .rto: downtimeVerdict(limits)
        case .backupAge: backupAgeVerdict(limits)
        case .backupSize: backupSizeVerdict(limits)
        case .backupHealth: backupHealthVerdict
        case .verify: verificationVerdict(.backups, limits)
        case .verifyWAL: verificationVerdict(.wal, limits)
        case .drill: rehearsalVerdict(limits)
        case .repositorySpace: spaceVerdict(limits)
        case .repositoryGrowth: growthVerdict(limits)
        case .places: placesVerdict
        case .permissions: permissionsVerdict
        case .notifications: notificationsVerdict
        }
    }
}

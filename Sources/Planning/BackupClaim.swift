import WAL

extension Planner {
    /// The only tip whose backups show that it is the cluster's own; nil when they don't decide.
    ///
    /// A copy that archives by mistake may take backups as well. So a backup counts only if it was taken on the host
    /// and data directory of the backups before the branch, if these record them, and after all other tips had ended;
    /// and only one tip may have such a backup.
    func claim(
        among tips: [[TimelinePath]], _ ends: [TimelineID: PlacedCommit]
    ) -> (tip: [TimelinePath], backups: [RestorableBackup])? {
        let home = backups.last { backup in
            backup.place != nil
                && tips.allSatisfy { $0.contains { $0.contains(backup.timeline, upTo: backup.stop) } }
        }?.place
        let claims = tips.map { tip in
            let its = backups(of: tip, among: tips)
            return (tip: tip, backups: its.filter { home == nil || $0.place == nil || $0.place == home })
        }.filter { !$0.backups.isEmpty }
        guard claims.count == 1, let claim = claims.first else { return nil }
        let others = tips.filter { $0[0] != claim.tip[0] }.flatMap(\.self).compactMap { ends[$0.target]?.mark.time }
        return claim.backups.contains { backup in others.allSatisfy { $0 < backup.stopTime } } ? claim : nil
    }

    /// The backups on a tip that lie on none of the others.
    func backups(of tip: [TimelinePath], among tips: [[TimelinePath]]) -> [RestorableBackup] {
        let others = tips.filter { $0[0] != tip[0] }.flatMap(\.self)
        return backups.filter { backup in
            tip.contains { $0.contains(backup.timeline, upTo: backup.stop) }
                && !others.contains { $0.contains(backup.timeline, upTo: backup.stop) }
        }
    }
}

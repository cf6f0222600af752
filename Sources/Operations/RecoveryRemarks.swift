import Archiving
import Backups
import Configuration
import DataDirectory
import Monitoring
import Planning
import Platform
import Recovery
import Repository
import WAL

/// What a user should know before a recovery, besides the plan's own warnings.
extension PlannedRecovery {
    /// Remarks besides the plan's own warnings.
    public func remarks() throws -> [String] { try remarks(names) }

    func remarks(_ names: RelationMap?) throws -> [String] {
        let databases = Dictionary((names?.databases ?? []).map { ($0.oid, $0.name) }) { first, _ in first }
        let pending = plan.pending.map { PendingTransaction($0, databases: databases).sentence }
        let general =
            try archive.remarks + damaged + readAhead + leftOut + strayed() + divergent + numbered() + notLoaded
            + streamed + unconfined
            + pending
        guard let backup else { return general }
        let places = places(backup)
        return try general + places.warnings + places.tablespaces.remarks(directory: directory)
            + links(backup).remarks(isDelta: isDelta) + OldMounts(in: directory).remarks(isDelta: isDelta)
            + demands(backup, names).warnings(
                on: .this(binDirectory: cluster.binDirectory(major: plan.majorVersion)))
            + outlook(backup)
    }

    /// Objects that the plan needs and that a verification found damaged. A recovery ends there, or fails.
    private var damaged: [String] {
        let known: [KnownDamage]
        do { known = try KnownDamage.find(of: archive.contents) } catch {
            return ["It is not known whether this recovery needs what is known to be damaged: \(sentences(of: error))"]
        }
        let needed = Set(plan.segmentNames)
        return known.filter { $0.segment.map(needed.contains) ?? ($0.name == plan.backup.label) }.map {
            $0.segment == nil
                ? "This recovery restores what is damaged: \($0.sentence)."
                : "This recovery may not be able to replay all of its WAL: \($0.sentence)."
        }
    }

    /// What a server would fail to read though the recovery doesn't need it.
    private var readAhead: [String] {
        guard let fault = plan.faultAhead else { return [] }
        let what = "\(capitalized(fault.sentence)), which is after the end of this recovery: \(fault.reason)"
        if setup.isStandby {
            return ["\(what) A standby continues to replay, and stops there."]
        }
        let chosen = setup.extra.last { $0.name == "recovery_prefetch" }?.value
        guard let chosen, chosen != "off" else {
            return [
                "\(what) PostgreSQL reads ahead of replay, and would stop with an error: the recovery is made with "
                    + "recovery_prefetch = off."
            ]
        }
        return [
            "\(what) PostgreSQL reads ahead of replay, and will stop with an error: leave out --set "
                + "recovery_prefetch=\(shellQuoted(chosen))."
        ]
    }

    /// Libraries that a copy does without.
    private var notLoaded: [String] {
        guard !setup.isOwnDirectory, !setup.extra.contains(where: { $0.name == "shared_preload_libraries" }) else {
            return []
        }
        return [setup.libraryRemark].compactMap { $0 }
    }

    /// WAL that a command of the user's own delivers as it was archived.
    private var unconfined: [String] {
        guard !setup.isOwnDirectory, let chosen = setup.extra.last(where: { $0.name == "restore_command" })?.value,
            !chosen.contains("--confine-tablespaces")
        else { return [] }
        return [
            "Tablespaces that the WAL creates are created at the same paths here, because --set restore_command delivers it "
                + "unchanged. On the original's host, these would be the original's directories: there, use "
                + "the option --confine-tablespaces of archive-get."
        ]
    }

    /// WAL that a standby gets from its primary instead of the archive.
    private var streamed: [String] {
        guard !setup.isOwnDirectory, setup.isStandby,
            setup.extra.last(where: { $0.name == "primary_conninfo" })?.value.isEmpty == false
        else { return [] }
        return [
            "A tablespace that the primary creates while this standby streams from it is created at the same path here. On the "
                + "primary's own host, that would be the primary's directory: don't set primary_conninfo there."
        ]
    }

    /// A standby gets no target timeline, so that it follows promotions; it takes the newest one that the archive
    /// offers.
    private func strayed() throws -> [String] {
        guard setup.isStandby, !plan.isLatestTimeline else { return [] }
        let sentence =
            "A standby follows the newest timeline in the archive, which is not timeline \(plan.timeline): it would "
            + "follow another one, or not start."
        // One that descends from another goes first.
        let commands = try archive.contents.timelines().filter { $0 > plan.timeline }.sorted(by: >).map {
            runnable("tidemark segments put-aside \($0.fileNamePart).history")
        }
        guard !commands.isEmpty else { return [sentence] }
        return ["\(sentence) To take what no server is on out of the way: \(commands.joined(separator: "; "))"]
    }

    /// What the old directory alone holds, where the standby that takes its place follows another timeline.
    private var divergent: [String] {
        guard setup.isOwnDirectory, setup.isStandby, let own = archive.own,
            !plan.path.contains(own.place.timeline, upTo: own.place.position)
        else { return [] }
        return [
            "\(own.place.witness) on timeline \(own.place.timeline), up to LSN \(own.place.position). The standby follows "
                + "timeline \(plan.timeline), and does not include all of that."
        ]
    }

    /// PostgreSQL takes the first number without a history in the archive (`findNewestTimeLine`, timeline.c). A copy
    /// that was promoted without archiving may have taken it before, and have archived its segments since.
    private func numbered() throws -> [String] {
        guard setup.isOwnDirectory, !setup.isStandby else { return [] }
        let contents = archive.contents
        var next = plan.timeline
        repeat {
            guard next.rawValue < .max else { return [] }
            next = TimelineID(next.rawValue + 1)
        } while try contents.has(.history(next)) || contents.rebuiltHistory(next) != nil
        guard try !contents.segments(timeline: next).isEmpty else { return [] }
        return [
            "The recovered server will take number \(next) for its timeline. The archive has segments of another timeline "
                + "\(next), without its history: archiving will stop at the first segment that differs. To take them out "
                + "of the way first: " + runnable("tidemark segments put-aside \(next.fileNamePart).history --certain")
        ]
    }

    /// WAL in a dead server's pg_wal that a recovery elsewhere does without.
    private var leftOut: [String] {
        guard !setup.isOwnDirectory, let own = archive.own,
            own.waiting.segments.values.contains(where: { $0.summary.facts.lastCommit != nil }),
            let first = own.waiting.segments.keys.min(), let last = own.waiting.segments.keys.max()
        else { return [] }
        return [
            "Data directory \"\(own.path)\" has transactions that are not archived, in "
                + (first == last ? "segment \"\(first)\"" : "segments \"\(first)\" to \"\(last)\"")
                + "; this recovery does not include them. A recovery in its place archives them first."
        ]
    }
}

import DataDirectory
public import Planning
import Platform
import WAL

/// What a recovered server does when it reaches the target: `recovery_target_action`.
public enum TargetAction: String, Sendable, CaseIterable {
    case promote
    case pause
    case shutdown
}

/// One line of `postgresql.auto.conf`.
public struct RecoverySetting: Hashable, Sendable {
    public let name: String
    public let value: String
    public init(_ name: String, _ value: String) {
        (self.name, self.value) = (name, value)
        if name == "primary_conninfo" { KnownSecrets.learn(conninfo: value) }
    }

    /// A setting's value in bytes: `32MB`, or a number of 8 kB blocks, as pg_settings shows shared_buffers. Nil when it
    /// isn't such a value, or overflows.
    public static func bytes(_ text: String) -> Int64? {
        let digits = text.prefix { $0.isNumber }
        guard let number = Int64(digits) else { return nil }
        let factors: [Substring: Int64] = ["": 8192, "kB": 1 << 10, "MB": 1 << 20, "GB": 1 << 30, "TB": 1 << 40]
        guard let factor = factors[text.dropFirst(digits.count)] else { return nil }
        let (bytes, isTooMany) = number.multipliedReportingOverflow(by: factor)
        return isTooMany ? nil : bytes
    }

    public var line: String { "\(name) = \(ConfigurationLine.quoted(value))" }

    /// Whether PostgreSQL uses the setting only during recovery: such a value, chosen for one recovery, must not pass
    /// to standbys made of the server later. Settings that also apply afterwards, such as the port or memory, stay.
    var isForRecoveryOnly: Bool {
        RecoveryRecord.isTarget(name)
            || [
                "restore_command", "recovery_end_command", "archive_cleanup_command", "recovery_min_apply_delay",
                "recovery_prefetch", "wal_decode_buffer_size", "hot_standby", "hot_standby_feedback",
                "wal_receiver_create_temp_slot", "max_standby_archive_delay",
                "max_standby_streaming_delay", "primary_conninfo", "primary_slot_name", "promote_trigger_file",
                "trace_recovery_messages", "ignore_invalid_pages",
            ].contains(name)
    }
}

/// How a recovered data directory is to be set up.
public struct RecoverySetup: Sendable {
    /// The shell command that fetches WAL; `%f` and `%p` in it are PostgreSQL's.
    public var restoreCommand: String
    public var action: TargetAction = .promote
    /// Stay a standby that follows the archive, instead of ending recovery.
    public var isStandby = false
    /// The shell command that removes the recovery's settings when recovery ends; nil where the directory is thrown
    /// away.
    public var endCommand: String?
    /// Whether the directory is the cluster's configured one; only that may archive.
    public var isOwnDirectory: Bool
    /// The original's settings, as far as the backup recorded them.
    public var original: [String: String] = [:]
    /// The user's own settings, from `--set`; they win.
    public var extra: [RecoverySetting] = []

    public init(restoreCommand: String, endCommand: String? = nil, isOwnDirectory: Bool) {
        (self.restoreCommand, self.endCommand, self.isOwnDirectory) = (restoreCommand, endCommand, isOwnDirectory)
    }
}

extension RecoverySetup {
    /// A remark about libraries that the original loads and a copy doesn't; nil when there are none.
    public var libraryRemark: String? { original["shared_preload_libraries"].map(Libraries.init)?.remark }
}

extension Plan {
    /// The settings that make PostgreSQL carry out this plan in `directory`.
    public func settings(for setup: RecoverySetup, directory: String) -> [RecoverySetting] {
        var settings = [RecoverySetting("restore_command", setup.restoreCommand)]
        if !setup.isStandby {
            let chosen: RecoverySetting? =
                switch told.point {
                // PostgreSQL rounds a time to microseconds, as a Moment is; the zone is written so that nothing depends
                // on the server's TimeZone.
                case .time(let time): RecoverySetting("recovery_target_time", time.description)
                case .lsn(let lsn): RecoverySetting("recovery_target_lsn", lsn.description)
                case .xid(let xid): RecoverySetting("recovery_target_xid", String(xid))
                case .name(let name): RecoverySetting("recovery_target_name", name)
                case .immediate: RecoverySetting("recovery_target", "immediate")
                case .latest: nil
                }
            if let chosen { settings.append(chosen) }
            settings.append(RecoverySetting("recovery_target_inclusive", told.inclusive ? "on" : "off"))
            // Any other value would keep a standby from following its primary's promotion.
            if !isLatestTimeline { settings.append(RecoverySetting("recovery_target_timeline", timelineSetting)) }
            settings.append(RecoverySetting("recovery_target_action", setup.action.rawValue))
            // What delays a standby, so that mistakes can be undone, would only make a recovery wait.
            if setup.isOwnDirectory { settings.append(RecoverySetting("recovery_min_apply_delay", "0")) }
            if faultAhead != nil { settings.append(RecoverySetting("recovery_prefetch", "off")) }
        }
        // Run at a standby's promotion as well (`CleanupAfterArchiveRecovery`, src/backend/access/transam/xlog.c).
        if let command = setup.endCommand { settings.append(RecoverySetting("recovery_end_command", command)) }
        if !setup.isOwnDirectory {
            let named = Set(settings.map(\.name))
            settings += CopySettings.all(major: majorVersion, original: setup.original).filter {
                !named.contains($0.name)
            }
            settings.append(RecoverySetting("unix_socket_directories", socketDirectory(directory)))
        }
        let own = Set(setup.extra.map(\.name))
        return settings.filter { !own.contains($0.name) }
            + setup.extra.map { setting in
                guard setting.name == "recovery_end_command", let command = setup.endCommand else {
                    return setting
                }
                return RecoverySetting(setting.name, command.followed(by: setting.value))
            }
    }

    /// The timeline's number; but a timeline without a history file is only accepted as the backup's own.
    private var timelineSetting: String {
        path.steps.count == 1 && timeline == backup.timeline ? "current" : timeline.description
    }

    private func socketDirectory(_ directory: String) -> String { CopySocket(of: directory).directory }
}

extension String {
    /// Runs two shell commands one after the other; the second one's status counts.
    func followed(by other: String) -> String { other.isEmpty ? self : "\(self); \(other)" }
}

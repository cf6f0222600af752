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
    public init(_ name: String, _ value: String) { (self.name, self.value) = (name, value) }

    /// A setting's value as bytes: `32MB`, or a number of 8 kB blocks, as pg_settings shows shared_buffers.
    public static func bytes(_ text: String) -> Int64? {
        let digits = text.prefix { $0.isNumber }
        guard let number = Int64(digits) else { return nil }
        let factors: [Substring: Int64] = ["": 8192, "kB": 1 << 10, "MB": 1 << 20, "GB": 1 << 30, "TB": 1 << 40]
        return factors[text.dropFirst(digits.count)].map { number * $0 }
    }

    /// Whether the line only takes back what may be left from an earlier recovery.
    public var isReset: Bool { value.isEmpty && Plan.targetSettings.contains(name) }

    /// `name = 'value'`, quoted as PostgreSQL's configuration files want it (`escape_single_quotes_ascii`).
    public var line: String {
        let escaped = value.map { $0 == "'" ? "''" : $0 == "\\" ? "\\\\" : String($0) }.joined()
        return "\(name) = '\(escaped)'"
    }
}

/// How a recovered data directory is to be set up.
public struct RecoverySetup: Sendable {
    /// The shell command that fetches WAL; `%f` and `%p` in it are PostgreSQL's.
    public var restoreCommand: String
    public var action: TargetAction = .promote
    /// Stay a standby that follows the archive, instead of ending recovery.
    public var isStandby = false
    /// Whether the directory is the cluster's configured one; only that may archive.
    public var isOwnDirectory: Bool
    /// Settings of the user's own, by `--set`; they win.
    public var extra: [RecoverySetting] = []

    public init(restoreCommand: String, isOwnDirectory: Bool) {
        (self.restoreCommand, self.isOwnDirectory) = (restoreCommand, isOwnDirectory)
    }
}

extension Plan {
    static let targetSettings = [
        "recovery_target", "recovery_target_time", "recovery_target_lsn", "recovery_target_xid", "recovery_target_name",
    ]

    /// The settings that make PostgreSQL carry out this plan in `directory`.
    public func settings(for setup: RecoverySetup, directory: String) -> [RecoverySetting] {
        var settings = [RecoverySetting("restore_command", setup.restoreCommand)]
        if setup.isStandby {
            settings.append(RecoverySetting("recovery_target_timeline", "latest"))
        } else {
            let chosen: RecoverySetting? =
                switch told.point {
                // PostgreSQL rounds a time to microseconds, as a Moment is; the zone is written so that nothing depends on
                // the server's TimeZone.
                case .time(let time): RecoverySetting("recovery_target_time", time.description)
                case .lsn(let lsn): RecoverySetting("recovery_target_lsn", lsn.description)
                case .xid(let xid): RecoverySetting("recovery_target_xid", String(xid))
                case .name(let name): RecoverySetting("recovery_target_name", name)
                case .immediate: RecoverySetting("recovery_target", "immediate")
                case .latest: nil
                }
            // A second target, left from an earlier recovery, would keep the server from starting.
            for name in Plan.targetSettings where name != chosen?.name { settings.append(RecoverySetting(name, "")) }
            if let chosen { settings.append(chosen) }
            settings.append(RecoverySetting("recovery_target_inclusive", told.inclusive ? "on" : "off"))
            settings.append(RecoverySetting("recovery_target_timeline", timelineSetting))
            settings.append(RecoverySetting("recovery_target_action", setup.action.rawValue))
        }
        if !setup.isOwnDirectory {
            settings.append(RecoverySetting("archive_mode", "off"))
            settings.append(RecoverySetting("archive_command", ""))
            // The original may still run here: its port must not be asked for, and its clients must not come.
            settings.append(RecoverySetting("listen_addresses", ""))
            settings.append(RecoverySetting("unix_socket_directories", socketDirectory(directory)))
        }
        let own = Set(setup.extra.map(\.name))
        return settings.filter { !own.contains($0.name) } + setup.extra
    }

    /// The number; but a timeline without a history file is only accepted as the backup's own.
    private var timelineSetting: String {
        path.steps.count == 1 && timeline == backup.timeline ? "current" : timeline.description
    }

    /// A socket's path may have 107 bytes (sockaddr_un), its name included.
    private func socketDirectory(_ directory: String) -> String { directory.utf8.count <= 85 ? directory : "/tmp" }
}

/// The block that `recover` keeps in `postgresql.auto.conf`, between two comment lines.
enum SettingsBlock {
    static let begin = "# tidemark recover: begin"
    static let end = "# tidemark recover: end"

    /// `text` with the block in it, instead of an earlier one. Settings of the same names elsewhere in the file go: the
    /// file is the server's own (`ALTER SYSTEM`), and what stands last would win anyway.
    static func write(_ settings: [RecoverySetting], into text: String) -> String {
        let names = Set(settings.map(\.name))
        var kept: [Substring] = []
        var inside = false
        for line in text.split(separator: "\n", omittingEmptySubsequences: false) {
            if line == begin { inside = true }
            if !inside, !names.contains(settingName(line)) { kept.append(line) }
            if line == end { inside = false }
        }
        while kept.last?.isEmpty == true { kept.removeLast() }
        return (kept.map(String.init) + [begin] + settings.map(\.line) + [end, ""]).joined(separator: "\n")
    }

    /// The name a line of a configuration file sets, lower case; empty for comments and blank lines.
    static func settingName(_ line: Substring) -> String {
        line.drop { $0 == " " || $0 == "\t" }.prefix { $0.isLetter || $0.isNumber || $0 == "_" || $0 == "." }
            .lowercased()
    }
}

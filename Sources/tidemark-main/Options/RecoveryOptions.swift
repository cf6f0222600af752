import Configuration
import Operations
import Planning
import Platform
import Recovery
import Restoring
import TableRecovery

/// The options for the recovered server.
enum RecoveryOptions {
    static let shown: [Grammar.Option] = [
        .init("data-directory", value: "DIR", "the directory to recover into (default: the cluster's own)"),
        .init(
            "target-action", value: "promote|pause|shutdown",
            "what the server does at the target (default: promote, so that it accepts writes)"),
        .init("standby", "set up a standby that follows the archive, instead of ending recovery"),
        .init(
            "use-partial",
            "use the last segment of a timeline if it was archived only as .partial"),
        .init(
            "tablespace-mapping", value: "OLD=NEW", repeats: true,
            "put the tablespace that was in OLD into NEW; \\= stands for an equals sign in a path; may be repeated"),
        .init(
            "set", value: "NAME=VALUE", repeats: true, "a server setting for the recovered directory; may be repeated"),
    ]

    /// The order for `plan` and `recover`.
    /// - Throws: `UsageError`, `MomentError`, `BadTablePattern`.
    static func order(_ arguments: Arguments, _ cluster: ClusterConfiguration) throws -> RecoveryOrder {
        var target = try DropOptions.request(arguments) ?? TargetOptions.request(arguments, zone: cluster.timezone)
        target.usesPartials = arguments.has("use-partial")
        var order = RecoveryOrder(target, directory: try directory(arguments, cluster))
        order.tablespaces = try tablespaces(arguments)
        order.isStandby = arguments.has("standby")
        if let word = arguments.value("target-action") {
            guard let action = TargetAction(rawValue: word) else {
                throw UsageError("--target-action takes \"promote\", \"pause\" or \"shutdown\", not \"\(word)\"")
            }
            order.action = action
            try refuse(action, without: target, isStandby: order.isStandby)
        }
        order.settings = try settings(arguments)
        order.isDelta = arguments.has("delta")
        order.keepsOld = arguments.has("keep-old")
        order.starts = arguments.has("start")
        order.logFile = try arguments.value("log-file").map(absolutePath)
        return order
    }

    /// The options that give this order, quoted for a shell.
    static func line(_ order: RecoveryOrder) -> String {
        var words: [String]
        switch order.target.point {
        case .target(let target): words = RecoveryTarget(target.point, inclusive: target.inclusive).arguments
        case .beforeDrop(let tables, _): words = tables.flatMap { ["--before-drop", shellQuoted($0.text)] }
        case .beforeDropOfDatabase(let name): words = ["--before-drop-database", shellQuoted(name)]
        case .anyMoment: words = []
        }
        func add(_ option: String, _ value: String?) {
            if let value { words += ["--" + option, shellQuoted(value)] }
        }
        add("target-timeline", TargetOptions.word(order.target.timeline))
        add("backup", order.target.backup)
        add("incarnation", order.target.incarnation)
        add("data-directory", order.directory)
        add("target-action", order.action == .promote ? nil : order.action.rawValue)
        for (old, new) in order.tablespaces.sorted(by: { $0.key < $1.key }) {
            add("tablespace-mapping", TablespaceMapping.text(old, new))
        }
        for setting in order.settings { add("set", "\(setting.name)=\(setting.value)") }
        add("log-file", order.logFile)
        for (name, value) in order.overrides.sorted(by: { $0.key < $1.key }) {
            add(name.replacing("_", with: "-"), value)
        }
        let flags = [
            ("use-partial", order.target.usesPartials), ("standby", order.isStandby), ("delta", order.isDelta),
            ("keep-old", order.keepsOld), ("start", order.starts),
        ]
        return (words + flags.filter(\.1).map { "--" + $0.0 }).joined(separator: " ")
    }

    /// PostgreSQL ignores the action where there is no target (`recoveryStopsAfter`, xlogrecovery.c): it would promote,
    /// and a standby would go on.
    private static func refuse(
        _ action: TargetAction, without target: TargetRequest, isStandby: Bool
    ) throws(UsageError) {
        guard action != .promote else { return }
        if isStandby {
            throw UsageError(
                "--target-action \(action.rawValue) cannot be used with --standby", hint: "A standby has no target.")
        }
        guard case .target(let named) = target.point, case .latest = named.point else { return }
        throw UsageError(
            "--target-action \(action.rawValue) cannot be used with --target latest",
            hint:
                "At the end of the archive PostgreSQL always promotes. Name the last transaction or the LSN that the plan "
                + "shows, with --target-xid or --target-lsn.")
    }

    /// The directory to recover into. The cluster's own is spelled as in the configuration.
    static func directory(_ arguments: Arguments, _ cluster: ClusterConfiguration) throws -> String {
        let named = try absolutePath(arguments.value("data-directory") ?? cluster.dataDirectory)
        let isOwn = Files.isSamePlace(named, cluster.dataDirectory)
        return (isOwn ? cluster.dataDirectory : named).withoutTrailingSlash
    }

    /// The values of `--tablespace-mapping`: location in the backup → directory to use now.
    static func tablespaces(_ arguments: Arguments) throws(UsageError) -> [String: String] {
        var mapping: [String: String] = [:]
        for text in arguments.all("tablespace-mapping") {
            guard let (old, new) = TablespaceMapping.parse(text), old.hasPrefix("/"), new.hasPrefix("/") else {
                throw UsageError(
                    "--tablespace-mapping takes OLD=NEW, two absolute paths, not \"\(text)\"",
                    hint: "In a path, write \\= for an equals sign.")
            }
            mapping[old.withoutTrailingSlash] = new.withoutTrailingSlash
        }
        return mapping
    }

    /// Settings of the plan itself, with the corresponding options.
    private static let targets = [
        "recovery_target": "--target immediate", "recovery_target_time": "--target-time",
        "recovery_target_lsn": "--target-lsn", "recovery_target_xid": "--target-xid",
        "recovery_target_name": "--target-name", "recovery_target_inclusive": "--exclusive",
        "recovery_target_timeline": "--target-timeline", "recovery_target_action": "--target-action",
    ]

    /// The values of `--set`.
    static func settings(_ arguments: Arguments) throws(UsageError) -> [RecoverySetting] {
        try arguments.all("set").map { text throws(UsageError) in
            let parts = text.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            let name = parts[0].lowercased()
            guard parts.count == 2, !name.isEmpty,
                name.allSatisfy({ $0.isASCII && ($0.isLetter || $0.isNumber || $0 == "_" || $0 == ".") })
            else { throw UsageError("--set takes NAME=VALUE, not \"\(text)\"") }
            if let option = targets[name] {
                throw UsageError("--set cannot change \(name)", hint: "Use \(option).")
            }
            return RecoverySetting(name, String(parts[1]))
        }
    }
}

import Configuration
import Operations
import Platform
import Recovery

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
            "put the tablespace that was in OLD into NEW; may be repeated"),
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
        }
        order.settings = try settings(arguments)
        order.isDelta = arguments.has("delta")
        order.keepsOld = arguments.has("keep-old")
        order.starts = arguments.has("start")
        order.logFile = try arguments.value("log-file").map(absolutePath)
        return order
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
            let parts = text.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
            guard parts.count == 2, parts.allSatisfy({ $0.hasPrefix("/") }) else {
                throw UsageError("--tablespace-mapping takes OLD=NEW, two absolute paths, not \"\(text)\"")
            }
            mapping[parts[0].withoutTrailingSlash] = parts[1].withoutTrailingSlash
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

import Configuration
import Recovery
import Setup
import WAL

/// The options that shape the recovered server.
enum RecoveryOptions {
    static let shown: [Grammar.Option] = [
        .init("data-directory", value: "DIR", "the directory to recover into (default: the cluster's own)"),
        .init(
            "target-action", value: "promote|pause|shutdown",
            "what the server does at the target (default: promote, so that it takes writes)"),
        .init("standby", "set up a standby that follows the archive, instead of ending recovery"),
        .init(
            "use-partial",
            "where the last segment of a timeline was archived as .partial only, take what it holds"),
        .init(
            "tablespace-mapping", value: "OLD=NEW", repeats: true,
            "put the tablespace that was in OLD into NEW; may be repeated"),
        .init(
            "set", value: "NAME=VALUE", repeats: true, "a server setting for the recovered directory; may be repeated"),
    ]

    static func setup(
        _ invocation: Invocation, _ cluster: ClusterConfiguration, isOwnDirectory: Bool, putAside: TimelineID? = nil
    ) throws -> RecoverySetup {
        let arguments = invocation.arguments
        let commands = ServerCommands(
            executable: try leanExecutable(), configuration: try invocation.configurationPath(),
            cluster: cluster.name)
        var setup = RecoverySetup(
            restoreCommand: commands.restore(putAside: putAside?.description, isCopy: !isOwnDirectory),
            endCommand: commands.recoveryEnd, isOwnDirectory: isOwnDirectory)
        setup.isStandby = arguments.has("standby")
        if let word = arguments.value("target-action") {
            guard let action = TargetAction(rawValue: word) else {
                throw UsageError("--target-action takes \"promote\", \"pause\" or \"shutdown\", not \"\(word)\"")
            }
            setup.action = action
        }
        setup.extra = try settings(arguments)
        return setup
    }

    /// What `--tablespace-mapping` says: location in the backup → directory to use now.
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

    /// Settings that are the plan's own, with the options that say the same.
    private static let targets = [
        "recovery_target": "--target immediate", "recovery_target_time": "--target-time",
        "recovery_target_lsn": "--target-lsn", "recovery_target_xid": "--target-xid",
        "recovery_target_name": "--target-name", "recovery_target_inclusive": "--exclusive",
        "recovery_target_timeline": "--target-timeline", "recovery_target_action": "--target-action",
    ]

    /// What `--set` says.
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

extension String {
    /// `/a/b` for `/a/b/`.
    var withoutTrailingSlash: String {
        var text = self
        while text.count > 1 && text.hasSuffix("/") { text.removeLast() }
        return text
    }
}

import Platform

/// The settings that a copy of the cluster must not inherit from the original: all that write, run, connect, listen,
/// wait or schedule outside the copy's own directories. Recoveries beside the cluster, standby copies, drills and the
/// scratch clusters of table recovery all take them from here; only `--set` restores one.
public enum CopySettings {
    /// Why a setting has another value in a copy.
    enum Effect: String, Sendable {
        case runs, connects, listens, writes, waits
    }

    struct Rule: Sendable {
        let name: String
        let value: String
        let effect: Effect
        /// The major versions that have the setting: other versions refuse to start with it.
        var versions: ClosedRange<Int> = 0...Int.max
    }

    static let rules: [Rule] = [
        // The original's archive, programs and trigger files.
        Rule(name: "archive_mode", value: "off", effect: .writes),
        Rule(name: "archive_command", value: "", effect: .runs),
        Rule(name: "archive_library", value: "", effect: .runs, versions: 15...Int.max),
        // It removes WAL that the original's own standbys may still need.
        Rule(name: "archive_cleanup_command", value: "", effect: .runs),
        Rule(name: "recovery_end_command", value: "", effect: .runs),
        Rule(name: "promote_trigger_file", value: "", effect: .waits, versions: 0...15),
        // With TLS the passphrase command would run, and a key that this host doesn't have would be missed. No client
        // connects over the network.
        Rule(name: "ssl", value: "off", effect: .runs),
        // The original may still run on this host: the copy must not take its port or its clients.
        Rule(name: "listen_addresses", value: "", effect: .listens),
        Rule(name: "bonjour", value: "off", effect: .listens),
        // The original's slots, subscriptions and horizon.
        Rule(name: "primary_conninfo", value: "", effect: .connects),
        Rule(name: "primary_slot_name", value: "", effect: .connects),
        Rule(name: "wal_receiver_create_temp_slot", value: "off", effect: .connects),
        Rule(name: "hot_standby_feedback", value: "off", effect: .connects),
        Rule(name: "sync_replication_slots", value: "off", effect: .connects, versions: 17...Int.max),
        Rule(name: "max_logical_replication_workers", value: "0", effect: .connects),
        // A primary recognises standbys by this name, and people recognise processes by it.
        Rule(name: "cluster_name", value: "", effect: .connects),
        // For standbys that the copy doesn't have, and delays that it doesn't want.
        Rule(name: "synchronous_standby_names", value: "", effect: .waits),
        Rule(name: "synchronized_standby_slots", value: "", effect: .waits, versions: 17...Int.max),
        Rule(name: "recovery_min_apply_delay", value: "0", effect: .waits),
        // The host's log is shared.
        Rule(name: "log_destination", value: "stderr", effect: .writes),
    ]

    static func isNeutral(_ setting: RecoverySetting) -> Bool {
        rules.contains { $0.name == setting.name && $0.value == setting.value }
    }

    /// The settings of every copy.
    ///
    /// - Parameter original: the original's settings, as far as its backup recorded them.
    static func all(major: Int, original: [String: String]) -> [RecoverySetting] {
        var settings = rules.filter { $0.versions.contains(major) }.map { RecoverySetting($0.name, $0.value) }
        // Tablespaces that the WAL creates lie in the directory itself (`--confine-tablespaces`).
        if knowsTablespacesInPlace(major, original["server_version"]) {
            settings.append(RecoverySetting("allow_in_place_tablespaces", "on"))
        }
        if let libraries = original["shared_preload_libraries"].map(Libraries.init) {
            if !libraries.left.isEmpty {
                settings.append(RecoverySetting("shared_preload_libraries", libraries.kept.joined(separator: ",")))
            }
        } else {
            settings.append(RecoverySetting("shared_preload_libraries", ""))
        }
        return settings
    }

    /// Libraries that are configured, and that the backup doesn't record: those that sessions load, and those that the
    /// original would have loaded only at its next start.
    ///
    /// - Parameters:
    ///   - configured: the configured value of a setting.
    ///   - named: the settings that the recovery writes anyway.
    static func libraries(
        _ configured: (String) -> String?, _ setup: RecoverySetup, _ named: Set<String>
    ) -> [RecoverySetting] {
        guard !setup.isOwnDirectory else { return [] }
        let lists = ["shared_preload_libraries", "session_preload_libraries", "local_preload_libraries"]
        return lists.filter { !named.contains($0) }.compactMap { name in
            guard let libraries = configured(name).map(Libraries.init), !libraries.left.isEmpty else { return nil }
            return RecoverySetting(name, libraries.kept.joined(separator: ","))
        }
    }

    /// The further settings of a cluster that is thrown away: only tidemark connects to it.
    public static func scratch(major: Int, socketDirectory: String, rulesFile: String, mapFile: String)
        -> [RecoverySetting]
    {
        var settings = [
            RecoverySetting("unix_socket_directories", socketDirectory), RecoverySetting("port", "5432"),
            RecoverySetting("unix_socket_permissions", "0700"), RecoverySetting("unix_socket_group", ""),
            RecoverySetting("hba_file", rulesFile), RecoverySetting("ident_file", mapFile),
            RecoverySetting("external_pid_file", ""),
            RecoverySetting("logging_collector", "off"),
            RecoverySetting("shared_preload_libraries", ""), RecoverySetting("session_preload_libraries", ""),
            RecoverySetting("local_preload_libraries", ""),
            RecoverySetting("autovacuum", "off"), RecoverySetting("shared_buffers", "128MB"),
            RecoverySetting("huge_pages", "off"),
            // In files of its own directory: a process that may write in /dev/shm could write into the memory of the
            // cluster's server.
            RecoverySetting("dynamic_shared_memory_type", "mmap"), RecoverySetting("shared_memory_type", "mmap"),
        ]
        // A login trigger can run any code.
        if major >= 17 { settings.append(RecoverySetting("event_triggers", "off")) }
        // io_uring connects without the system calls that `Confinement` forbids.
        if major >= 18 { settings.append(RecoverySetting("io_method", "worker")) }
        if major <= 14 { settings.append(RecoverySetting("stats_temp_directory", "pg_stat_tmp")) }
        return settings
    }

    /// Settings for places that the server writes to, with the copy's value when the original's lies outside its data
    /// directory: the original may still write there itself.
    static let places = [
        ("external_pid_file", ""), ("log_directory", "log"), ("stats_temp_directory", "pg_stat_tmp"),
        ("log_filename", "postgresql-%Y-%m-%d_%H%M%S.log"),
    ]

    /// Whether a server of this version has `allow_in_place_tablespaces`, which was added in minor versions, too.
    private static func knowsTablespacesInPlace(_ major: Int, _ version: String?) -> Bool {
        guard major < 15 else { return true }
        let digits = version?.split(separator: " ").first?.split(separator: ".").dropFirst().first
        guard let minor = digits.flatMap({ Int($0.prefix { $0.isNumber }) }) else { return false }
        return major == 14 ? minor >= 5 : major == 13 ? minor >= 8 : false
    }
}

/// The libraries of `shared_preload_libraries`, divided into those that a copy loads and those that it doesn't.
struct Libraries {
    let kept: [String]
    let left: [String]

    /// Libraries that only observe the server's own sessions. Any other may start a background worker: a scheduler, a
    /// replication system, a job that connects to another host.
    private static let harmless: Set<String> = [
        "auto_explain", "pg_stat_statements", "pg_stat_kcache", "pg_qualstats", "pg_hint_plan", "pgaudit",
        "passwordcheck",
        "credcheck", "set_user", "plpgsql_check",
    ]

    init(_ setting: String) {
        let names = setting.split(separator: ",").map { word in String(word.filter { $0 != " " && $0 != "\"" }) }
            .filter { !$0.isEmpty }
        func isHarmless(_ library: String) -> Bool {
            let name = library.hasPrefix("$libdir/") ? String(library.dropFirst(8)) : library
            return Libraries.harmless.contains(name.hasSuffix(".so") ? String(name.dropLast(3)) : name)
        }
        kept = names.filter(isHarmless)
        left = names.filter { !isHarmless($0) }
    }

    /// The omitted libraries, as a sentence for the user.
    var remark: String? {
        guard !left.isEmpty else { return nil }
        return
            "The original loads \(left.joined(separator: ", ")) at its start (shared_preload_libraries); this server "
            + "doesn't, because a library may act by itself, on a schedule or on other hosts. To load "
            + (left.count == 1 ? "it" : "them")
            + " anyway: --set shared_preload_libraries=\((kept + left).joined(separator: ","))."
    }
}

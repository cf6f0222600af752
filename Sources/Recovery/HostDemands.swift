public import Backups
import Configuration
import DataDirectory
import Glibc
public import Planning
import Platform
import Postgres

/// What a machine offers a server.
public struct Host: Sendable {
    /// Bytes; nil where unknown.
    public var memory: Int64?
    public var hugePages: Int64
    /// Where the server looks for libraries named without a directory; nil where unknown.
    public var libraryDirectory: String?
    public var hasFile: @Sendable (String) -> Bool
    public var hasLocale: @Sendable (String) -> Bool
    /// Whether its server programs can use ICU.
    public var hasICU: @Sendable () -> Bool

    public init(
        memory: Int64?, hugePages: Int64, libraryDirectory: String?, hasFile: @escaping @Sendable (String) -> Bool,
        hasLocale: @escaping @Sendable (String) -> Bool, hasICU: @escaping @Sendable () -> Bool
    ) {
        (self.memory, self.hugePages, self.libraryDirectory) = (memory, hugePages, libraryDirectory)
        (self.hasFile, self.hasLocale, self.hasICU) = (hasFile, hasLocale, hasICU)
    }

    /// A server built without ICU contains the sentence with which it refuses (src/backend/utils/adt/pg_locale.c).
    public static func hasICU(binDirectory: String) throws -> Bool {
        let program = try Files.read(binDirectory + "/postgres", limit: 1 << 30)
        return !contains(program, Array("ICU is not supported in this build".utf8))
    }

    private static func contains(_ bytes: [UInt8], _ wanted: [UInt8]) -> Bool {
        bytes.withUnsafeBytes { whole in
            guard let start = whole.baseAddress, whole.count >= wanted.count else { return false }
            var from = 0
            while let found = memchr(start + from, Int32(wanted[0]), whole.count - wanted.count + 1 - from) {
                if memcmp(found, wanted, wanted.count) == 0 { return true }
                from = UnsafeRawPointer(found) - start + 1
            }
            return false
        }
    }

    /// This machine, with the server programs of `binDirectory`.
    public static func this(binDirectory: String) -> Host {
        let text = (try? Files.readText("/proc/meminfo")) ?? ""
        func number(_ name: String) -> Int64? {
            text.split(separator: "\n").first { $0.hasPrefix(name + ":") }
                .flatMap { $0.split(separator: " ").dropFirst().first }.flatMap { Int64($0) }
        }
        // Relative to bin, as PostgreSQL finds it: Debian has lib, others lib/postgresql.
        let root = Files.parent(binDirectory)
        let libraries = ["/lib/postgresql", "/lib"].map { root + $0 }.first { access($0 + "/pgoutput.so", F_OK) == 0 }
        return Host(
            memory: number("MemTotal").map { $0 * 1024 }, hugePages: number("HugePages_Total") ?? 0,
            libraryDirectory: libraries, hasFile: { access($0, F_OK) == 0 },
            hasLocale: { name in
                guard let found = newlocale(everyLocaleCategory, name, nil) else { return false }
                freelocale(found)
                return true
            },
            hasICU: { (try? hasICU(binDirectory: binDirectory)) ?? true })
    }
}

/// `LC_ALL_MASK`, which is too complex a macro for Swift: every category but LC_ALL itself.
private let everyLocaleCategory: Int32 = [
    LC_CTYPE, LC_NUMERIC, LC_TIME, LC_COLLATE, LC_MONETARY, LC_MESSAGES, LC_PAPER, LC_NAME, LC_ADDRESS, LC_TELEPHONE,
    LC_MEASUREMENT, LC_IDENTIFICATION,
].reduce(0) { $0 | 1 << $1 }

/// What the recovered server needs of the machine on which it will run.
public struct HostDemands: Sendable {
    /// The settings recorded in the backup, by name.
    private let original: [String: String]
    /// The settings given with `--set`.
    private let chosen: [String: String]
    private let databases: [RelationMap.DatabaseRow]
    /// The values that replay demands.
    private let replayed: [String: Int64]
    private var effective: [String: String] { original.merging(chosen) { $1 } }

    /// - Parameters:
    ///   - databases: as the backup recorded them.
    ///   - plan: its WAL may demand more than the original's settings when the backup was taken.
    public init(
        original: [String: String], chosen: [RecoverySetting], databases: [RelationMap.DatabaseRow] = [],
        plan: Plan? = nil
    ) {
        replayed = plan.map { HostDemands.ofReplay($0, original: original) } ?? original.compactMapValues { Int64($0) }
        self.original = original
        self.databases = databases
        self.chosen = Dictionary(chosen.map { ($0.name, $0.value) }) { $1 }
    }

    /// The built-in defaults of the settings that replay demands.
    private static let standard: [String: Int64] = [
        "max_connections": 100, "max_worker_processes": 8, "max_wal_senders": 10, "max_prepared_transactions": 0,
        "max_locks_per_transaction": 64, "max_replication_slots": 10, "max_active_replication_origins": 10,
    ]

    /// The setting that limits the number of replication origins. Replay tracks every origin that the backup's
    /// checkpoint and the WAL name, as every later start does, and fails when there are more
    /// (`StartupReplicationOrigin` and `replorigin_advance`, src/backend/replication/logical/origin.c).
    public static func roomForOrigins(major: Int) -> String {
        major >= 18 ? "max_active_replication_origins" : "max_replication_slots"
    }

    /// The settings that replay demands: the original's when the backup was taken, and later ones that the WAL records.
    static func ofReplay(_ plan: Plan, original: [String: String]) -> [String: Int64] {
        let recorded = original.compactMapValues { Int64($0) }.filter {
            standard[$0.key] != nil
                && (!$0.key.contains("replication") || $0.key == roomForOrigins(major: plan.majorVersion))
        }
        return recorded.merging(plan.changes.demands) { max($0, $1) }
    }

    /// The settings that the WAL replayed so far demands: replay writes them to pg_control before it checks them.
    static func soFar(_ control: ControlFile) -> [String: Int64] {
        [
            "max_connections": control.maxConnections, "max_worker_processes": control.maxWorkerProcesses,
            "max_wal_senders": control.maxWALSenders, "max_prepared_transactions": control.maxPreparedTransactions,
            "max_locks_per_transaction": control.maxLocksPerTransaction,
        ].mapValues { Int64($0) }
    }

    /// The settings that raise what the configuration lacks.
    static func lacking(_ demands: [String: Int64], in configured: [String: String]) -> [RecoverySetting] {
        demands.sorted { $0.key < $1.key }.compactMap { name, wanted in
            let present = configured[name].flatMap { Int64($0) } ?? standard[name] ?? 0
            return present < wanted ? RecoverySetting(name, String(wanted)) : nil
        }
    }

    /// Refuses settings with which the server would stop at its start: with hot_standby, these must not be lower than
    /// the original's (`CheckRequiredParameterValues` in xlogrecovery.c).
    /// - Throws: `Problem`.
    public func refuseTooLow() throws {
        if let standby = chosen["hot_standby"], ["off", "false", "no", "0"].contains(standby.lowercased()) { return }
        for name in [
            "max_connections", "max_worker_processes", "max_wal_senders", "max_prepared_transactions",
            "max_locks_per_transaction",
        ] {
            guard let wanted = replayed[name], let given = chosen[name].flatMap({ Int64($0) }),
                given < wanted
            else { continue }
            throw Problem(
                "cannot recover with \(name) = \(given)",
                detail:
                    "The original has \(wanted), and a server that answers queries while it recovers needs at least as much.",
                hint: "Leave it out until the server has recovered, or add --set hot_standby=off.")
        }
    }

    /// Warnings about what `host` may not provide, each with the setting that helps.
    public func warnings(on host: Host) -> [String] {
        var warnings: [String] = []
        if let buffers = effective["shared_buffers"].flatMap(RecoverySetting.bytes), let memory = host.memory,
            buffers > memory / 4 * 3
        {
            warnings.append(
                "The original has shared_buffers = \(Quantity.pretty(bytes: buffers)); this host has "
                    + "\(Quantity.pretty(bytes: memory)) of memory. Use less, for example --set shared_buffers="
                    + "\(max(1, memory >> 22))MB.")
        }
        if effective["huge_pages"] == "on", host.hugePages == 0 {
            warnings.append("The original insists on huge pages; this host has none. Use --set huge_pages=off.")
        }
        let missing = missingLibraries(on: host)
        if !missing.isEmpty {
            let rest = libraries.filter { !missing.contains($0) }.joined(separator: ",")
            warnings.append(
                "The original loads \(missing.joined(separator: ", ")) at its start (shared_preload_libraries); this host "
                    + "doesn't have it. Install it, or use --set shared_preload_libraries=\(rest).")
        }
        return warnings + missingLocales(on: host)
    }

    /// A server doesn't start with a setting that names an unknown locale, and nobody can connect to a database created
    /// with one (`CheckMyDatabase` in postinit.c), whichever its collation provider.
    private func missingLocales(on host: Host) -> [String] {
        var warnings: [String] = []
        for name in ["lc_messages", "lc_monetary", "lc_numeric", "lc_time"] {
            guard let locale = effective[name], !locale.isEmpty, !host.hasLocale(locale) else { continue }
            warnings.append(
                "The original has \(name) = \(locale), a locale that this host doesn't have; the server would not start. "
                    + "Install it, or use --set \(name)=C.")
        }
        var users: [String: Set<String>] = [:]
        for database in databases {
            guard let locale = database.locale else { continue }
            for name in [locale.collation, locale.ctype] { users[name, default: []].insert(database.name) }
        }
        let international = databases.filter { $0.locale?.provider == "i" }.map(\.name).sorted()
        if !international.isEmpty, !host.hasICU() {
            warnings.append(
                "Database \(international.joined(separator: ", ")) compares texts with ICU, which the server programs here cannot; "
                    + "no one could connect to it. Name programs that were built with ICU with --bin-directory.")
        }
        // Older backups record only one locale, and that only up to PostgreSQL 15.
        if users.isEmpty, let locale = original["lc_collate"] { users[locale] = [] }
        for (locale, names) in users.sorted(by: { $0.key < $1.key }) where !host.hasLocale(locale) {
            let whose = names.isEmpty ? "The original" : "Database \(names.sorted().joined(separator: ", "))"
            warnings.append(
                "\(whose) sorts by locale \"\(locale)\", which this host doesn't have; no one could connect to it. Install the locale, "
                    + "of the same version.")
        }
        return warnings
    }

    private var libraries: [String] {
        (effective["shared_preload_libraries"] ?? "").split(separator: ",").map { word in
            String(word.filter { $0 != " " && $0 != "\"" })
        }.filter { !$0.isEmpty }
    }

    private func missingLibraries(on host: Host) -> [String] {
        libraries.filter { library in
            var path = library
            if !path.contains("/") { path = "$libdir/" + path }
            if path.hasPrefix("$libdir/") {
                // dynamic_library_path may name other directories; only an unknown library directory suppresses the
                // warning.
                guard let directory = host.libraryDirectory else { return false }
                path = directory + path.dropFirst(7)
            }
            return !host.hasFile(path) && !host.hasFile(path + ".so")
        }
    }
}

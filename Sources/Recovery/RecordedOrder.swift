import Platform
import Postgres

/// What a recovery was ordered to do, as `RecoveryState` keeps it: values, none of which depends on who gave the order.
/// Whoever can order a recovery can resume one.
public struct RecordedOrder: Codable, Sendable, Equatable {
    public struct Target: Codable, Sendable, Equatable {
        public enum Kind: String, Codable, Sendable {
            case time, lsn, xid, name, immediate, latest
            case beforeDrop = "before_drop"
            case beforeDatabaseDrop = "before_database_drop"
        }
        public var kind: Kind
        /// What the kind needs: a time in microseconds since 1970, an LSN, a transaction's number, the name of a
        /// restore point, tables as patterns, the name of a database.
        public var values: [String]
        public var isInclusive: Bool
        /// Whether the drop of the tables' database counts as theirs.
        public var isDatabaseMeant: Bool
        /// A timeline's number, or `own`, `latest`, `current`.
        public var timeline: String
        public var backup: String?
        public var incarnation: String?
        public var usesPartials: Bool
        /// Whether WAL of the timeline that was put aside is read.
        public var readsAside: Bool

        public init(
            _ kind: Kind, _ values: [String] = [], isInclusive: Bool = true, isDatabaseMeant: Bool = false,
            timeline: String, backup: String?, incarnation: String?, usesPartials: Bool, readsAside: Bool
        ) {
            (self.kind, self.values, self.isInclusive) = (kind, values, isInclusive)
            (self.isDatabaseMeant, self.timeline, self.backup) = (isDatabaseMeant, timeline, backup)
            (self.incarnation, self.usesPartials, self.readsAside) = (incarnation, usesPartials, readsAside)
        }
    }
    public var target: Target
    /// Absolute paths: the original place → the new one.
    public var tablespaces: [String: String]
    /// `TargetAction`.
    public var action: String
    public var isStandby: Bool
    /// Of the recovered server: `NAME=VALUE`.
    public var settings: [String]
    public var isDelta: Bool
    public var keepsOld: Bool
    public var starts: Bool
    public var logFile: String?
    /// Of tidemark, other than the configuration's: `NAME=VALUE`.
    public var overrides: [String]
    /// The caller's own.
    public var remarks: [String]

    public init(
        _ target: Target, tablespaces: [String: String], action: String, isStandby: Bool, settings: [String],
        isDelta: Bool,
        keepsOld: Bool, starts: Bool, logFile: String?, overrides: [String], remarks: [String]
    ) {
        (self.target, self.tablespaces, self.action, self.isStandby) = (target, tablespaces, action, isStandby)
        (self.settings, self.isDelta, self.keepsOld, self.starts) = (settings, isDelta, keepsOld, starts)
        (self.logFile, self.overrides, self.remarks) = (logFile, overrides, remarks)
    }

    /// The two parts of `NAME=VALUE`; an absent value is empty.
    public static func parts(_ text: String) -> (name: String, value: String) {
        (String(text.prefix { $0 != "=" }), String(text.drop { $0 != "=" }.dropFirst()))
    }

    /// Takes the passwords out: a connection string keeps its other parts, a setting with a password is left out.
    ///
    /// - Returns: the names of the settings that were left out, the server's and tidemark's.
    mutating func withdrawSecrets() -> (settings: [String], overrides: [String]) {
        func isPublic(_ text: String) -> Bool {
            withoutSecrets(text) == text && !RecordedOrder.hasPassword(RecordedOrder.parts(text).value)
        }
        let secret = (settings.filter { !isPublic($0) }, overrides.filter { !isPublic($0) })
        settings.removeAll { secret.0.contains($0) }
        overrides = overrides.compactMap { text in
            guard secret.1.contains(text) else { return text }
            let (name, value) = RecordedOrder.parts(text)
            return (try? ConnectionString(value)).map { "\(name)=\($0.withoutSecrets)" }
        }
        return (secret.0.map { RecordedOrder.parts($0).name }, secret.1.map { RecordedOrder.parts($0).name })
    }

    private static func hasPassword(_ value: String) -> Bool {
        guard let string = try? ConnectionString(value) else { return false }
        return string.withoutSecrets != string
    }
}

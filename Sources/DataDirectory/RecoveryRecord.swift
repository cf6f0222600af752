import Platform

/// Which lines of `postgresql.auto.conf` are there for a recovery only. They have done their work when the server takes
/// writes, and must be gone before the directory is copied: a standby obeys recovery targets as a recovery does.
///
/// Kept in the data directory as well, in the same form, because ALTER SYSTEM rewrites that file without its
/// comments; a copy of the directory, made before the end, brings its record along.
public struct RecoveryRecord: Sendable, Equatable {
    public struct Setting: Sendable, Hashable {
        public var name: String
        public var value: String
        public init(_ name: String, _ value: String) { (self.name, self.value) = (name, value) }
    }
    public var settings: [Setting]

    /// In pg_wal, whose content no backup manifest lists: pg_verifybackup must find nothing strange.
    public static let fileName = "pg_wal/tidemark.recovery"
    /// The comment lines around what tidemark writes into `postgresql.auto.conf`.
    public static let (begin, end) = ("# tidemark recover: begin", "# tidemark recover: end")

    public init(_ settings: [Setting]) { self.settings = settings }

    /// Nil when the directory has none.
    public init?(in directory: DataDirectory) throws {
        let file = directory.path + "/" + RecoveryRecord.fileName
        guard try Files.exists(file) else { return nil }
        settings = try Files.read(file, limit: 1 << 20).split(separator: 10).compactMap { bytes in
            ConfigurationLine(bytes).map { Setting($0.name, $0.value) }
        }
    }

    public func write(in directory: DataDirectory) throws {
        let lines =
            ["# Lines of postgresql.auto.conf that tidemark takes out when the recovery is over."]
            + settings.map { "\($0.name) = \(ConfigurationLine.quoted($0.value))" }
        try replaceDurably(
            directory.path + "/" + RecoveryRecord.fileName, bytes: Array((lines.joined(separator: "\n") + "\n").utf8),
            mode: 0o600)
    }

    /// Whether every line of this name goes, whoever wrote it: a target only ever means one recovery, and somebody may have
    /// changed it on the way, as from shutdown to promote.
    public static func isTarget(_ name: String) -> Bool { name.hasPrefix("recovery_target") }

    /// `text` without these lines: of each name the last one, if it has this value. What the user has set meanwhile, or had
    /// set before, stays. Comment lines around nothing go as well.
    public func removed(from text: [UInt8]) -> [UInt8] {
        var lines = text.split(separator: 10, omittingEmptySubsequences: false).map { Array($0) }
        lines.removeAll { ConfigurationLine($0).map { RecoveryRecord.isTarget($0.name) } ?? false }
        for setting in settings {
            let last = lines.lastIndex { ConfigurationLine($0)?.name == setting.name }
            guard let last, ConfigurationLine(lines[last])?.value == setting.value else { continue }
            lines.remove(at: last)
        }
        let (begin, end) = (Array(RecoveryRecord.begin.utf8), Array(RecoveryRecord.end.utf8))
        while let first = lines.indices.dropLast().first(where: { lines[$0] == begin && lines[$0 + 1] == end }) {
            lines.removeSubrange(first...first + 1)
        }
        return Array(lines.joined(separator: [10]))
    }

    /// Whether a recovery in `directory` is over: the server removes the signal file once it has left recovery for good
    /// (`StartupXLOG`), and a directory that was never started has its label.
    public static func isOver(in directory: DataDirectory) throws -> Bool {
        try ["recovery.signal", "standby.signal", "backup_label"].allSatisfy {
            try !Files.exists(directory.path + "/" + $0)
        }
    }

    /// Takes the recovery's settings out of `directory`, if its recovery is over. Harmless at any time.
    ///
    /// - Returns: the names of the settings it took out; nil when there was nothing to do, or it is too early.
    @discardableResult
    public static func takeOut(of directory: DataDirectory) throws -> [String]? {
        guard try Files.exists(directory.path + "/" + fileName), try isOver(in: directory),
            let record = try RecoveryRecord(in: directory)
        else { return nil }
        let path = directory.path + "/" + ConfigurationFiles.automatic
        var removed: [String] = []
        if try Files.exists(path) {
            try ConfigurationFiles.rewrite(path) { old in
                let new = record.removed(from: old)
                removed = names(in: old).subtracting(names(in: new)).sorted()
                return new
            }
        }
        try Files.removeIfPresent(directory.path + "/" + fileName)
        try Files.synchronizeDirectory(directory.path)
        return removed
    }

    private static func names(in text: [UInt8]) -> Set<String> {
        Set(text.split(separator: 10).compactMap { ConfigurationLine($0)?.name })
    }
}

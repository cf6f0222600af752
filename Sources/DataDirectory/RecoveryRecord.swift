import Platform

/// The lines of `postgresql.auto.conf` that are there only for a recovery. They are obsolete when recovery ends, and
/// must be removed before the directory is copied: a standby obeys recovery targets as a recovery does.
///
/// Kept in the data directory as well, in the same form, because ALTER SYSTEM rewrites that file without its comments;
/// a copy of the directory, made before the end, has the record, too.
public struct RecoveryRecord: Sendable, Equatable {
    public struct Setting: Sendable, Hashable {
        public var name: String
        public var value: String
        public init(_ name: String, _ value: String) { (self.name, self.value) = (name, value) }
    }
    public var settings: [Setting]

    /// In pg_wal, whose contents no backup manifest lists, so that pg_verifybackup reports nothing.
    public static let fileName = "pg_wal/tidemark.recovery"
    /// The comment lines around tidemark's lines in `postgresql.auto.conf`.
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

    /// Whether every line of this name is removed, whoever wrote it: a target applies to one recovery only, and may
    /// have been changed meanwhile, as from shutdown to promote.
    public static func isTarget(_ name: String) -> Bool { name.hasPrefix("recovery_target") }

    /// `text` without these lines: of each name the last one, if it has this value. Values that the user has set
    /// meanwhile, or before, stay. Comment lines without lines between them are removed as well.
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

    /// Whether a recovery in `directory` has ended: the server removes the signal file once it has left recovery for
    /// good (`StartupXLOG`), and a directory that was never started still has its label.
    public static func isOver(in directory: DataDirectory) throws -> Bool {
        try ["recovery.signal", "standby.signal", "backup_label"].allSatisfy {
            try !Files.exists(directory.path + "/" + $0)
        }
    }

    /// The end of the `recovery_end_command` that a recovery sets.
    public static let endCommand = " recovery-end || :"

    /// The settings that a copy of a recovered server's directory has from it: a base backup leaves pg_wal out, and
    /// with it the record. Nil when it has none.
    private static func inherited(by directory: DataDirectory) throws -> RecoveryRecord? {
        let path = directory.path + "/" + ConfigurationFiles.automatic
        guard try Files.exists(path) else { return nil }
        let lines = try Files.read(path, limit: 1 << 20).split(separator: 10).compactMap { ConfigurationLine($0) }
        func last(_ name: String, _ isOwn: (String) -> Bool) -> Setting? {
            lines.last { $0.name == name }.flatMap { isOwn($0.value) ? Setting(name, $0.value) : nil }
        }
        guard let end = last("recovery_end_command", { $0.hasSuffix(endCommand) }) else { return nil }
        return RecoveryRecord([end, last("restore_command") { $0.contains(" archive-get ") }].compactMap(\.self))
    }

    /// Removes the recovery's settings from `directory`, if its recovery has ended. Harmless at any time.
    ///
    /// - Parameter includingInherited: those as well that came with the copy from which the directory was made.
    /// - Returns: the names of the removed settings; nil when there are none, or recovery hasn't ended.
    @discardableResult
    public static func takeOut(of directory: DataDirectory, includingInherited: Bool = false) throws -> [String]? {
        let hasRecord = try Files.exists(directory.path + "/" + fileName)
        guard hasRecord || includingInherited, try isOver(in: directory),
            let record = try hasRecord ? RecoveryRecord(in: directory) : inherited(by: directory)
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

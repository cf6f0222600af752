public import BaseBackup
import DataDirectory
import Glibc
import Platform

/// The configuration files a server needs, when the backup has none because they live elsewhere: Debian keeps them
/// under `/etc/postgresql/<major>/<cluster>`.
struct ServerConfiguration {
    let directory: String
    let isOwn: Bool
    /// As the backup recorded them.
    let settings: [String: String]
    /// By `--set`.
    let chosen: [RecoverySetting]

    init(_ request: RecoverRequest) {
        self.init(
            directory: request.directory, isOwn: request.setup.isOwnDirectory, settings: request.backup.settings,
            chosen: request.setup.extra)
    }

    init(directory: String, isOwn: Bool, settings: [String: String], chosen: [RecoverySetting]) {
        (self.directory, self.isOwn, self.settings, self.chosen) = (directory, isOwn, settings, chosen)
    }

    /// Makes up what is missing; says what that was, and what the server must be told on its command line.
    func complete() throws -> (remarks: [String], options: [String]) {
        let major = try DataDirectory(directory).majorVersion()
        if let file = chosenFile {
            return (["The server's configuration file is \"\(file)\"."], ["config_file=\(file)"])
        }
        guard try !Files.exists(directory + "/postgresql.conf") else { return ([], []) }
        if isOwn, let file = try ownFile(major: major) {
            return (["The server's configuration file is \"\(file)\"."], ["config_file=\(file)"])
        }
        try createDurably(directory + "/postgresql.conf", bytes: Array(try minimal().utf8), mode: 0o600)
        var remarks = [
            "The backup has no postgresql.conf, because the server keeps it outside of its data directory; a minimal one "
                + "was written. Copy the original's settings before the server goes into service."
        ]
        if try !Files.exists(directory + "/pg_hba.conf") {
            try createDurably(directory + "/pg_hba.conf", bytes: Array("local all all peer\n".utf8), mode: 0o600)
            remarks.append("pg_hba.conf was missing too; the new one lets users of this host in under their own names.")
        }
        if try !Files.exists(directory + "/pg_ident.conf") {
            try createDurably(directory + "/pg_ident.conf", bytes: [], mode: 0o600)
        }
        return (remarks, [])
    }

    /// What can be said before anything is restored, as sentences.
    ///
    /// - Parameter original: the data directory the backup was taken of.
    /// - Throws: `Problem` when a file named by `--set` isn't there, or belongs to another data directory.
    func outlook(major: Int, original: String) throws -> [String] {
        let names = ["config_file", "hba_file", "ident_file"]
        for setting in chosen where names.contains(setting.name) {
            guard try !Files.exists(setting.value) else { continue }
            throw Problem("file \"\(setting.value)\" of --set \(setting.name) does not exist")
        }
        if let file = chosenFile {
            guard try isFor(directory, file) else {
                throw Problem(
                    "configuration file \"\(file)\" belongs to another data directory",
                    detail: "Its data_directory is not \"\(directory)\": the server would open that one.",
                    hint: "Name a copy of the file without data_directory.")
            }
            return []
        }
        guard let file = settings["config_file"], !file.isEmpty, !file.hasPrefix(original + "/") else {
            return try names.dropFirst().compactMap { name in
                guard let file = settings[name], !file.isEmpty, !file.hasPrefix(original + "/"),
                    !chosen.contains(where: { $0.name == name }), try !Files.exists(file)
                else { return nil }
                return "The original's \(name) is \"\(file)\", which this host doesn't have: the server will not "
                    + "start. Use --set \(name)=FILE."
            }
        }
        if isOwn, try ownFile(major: major) != nil { return [] }
        return [
            "The original's configuration file, \"\(file)\", is not in the backup; a minimal one will be written. To use "
                + "another: --set config_file=FILE."
        ]
    }

    /// The `config_file` among options for a server's command line.
    static func file(in options: [String]) -> String? {
        options.last { $0.hasPrefix("config_file=") }.map { String($0.dropFirst("config_file=".count)) }
    }

    private var chosenFile: String? { chosen.last { $0.name == "config_file" }?.value }

    /// The cluster's own configuration file on this host, outside of the data directory: where the backup says it was, or
    /// in Debian's `/etc/postgresql/<major>/<cluster>/postgresql.conf`.
    private func ownFile(major: Int) throws -> String? {
        if let file = settings["config_file"], !file.hasPrefix(directory + "/"), try Files.exists(file),
            (try? isFor(directory, file)) == true
        {
            return file
        }
        let root = "/etc/postgresql/\(major)"
        return try Files.listIfPresent(root).sorted().map { "\(root)/\($0)/postgresql.conf" }
            .first { (try? Files.exists($0) && names(directory, $0)) == true }
    }

    /// Whether a server with this configuration file opens `directory`, when it is told so on its command line.
    private func isFor(_ directory: String, _ file: String) throws -> Bool {
        try !dataDirectories(in: file).isEmpty ? names(directory, file) : true
    }

    private func names(_ directory: String, _ file: String) throws -> Bool {
        try dataDirectories(in: file).contains { $0.contains("'\(directory)'") }
    }

    private func dataDirectories(in file: String) throws -> [Substring] {
        try Files.readText(file).split(separator: "\n").filter { ConfigurationLine($0.utf8)?.name == "data_directory" }
    }

    /// What replay demands: at least the original's values of these (`CheckRequiredParameterValues`).
    private func minimal() throws -> String {
        let control = try DataDirectory(directory).controlFile()
        var lines = [
            "# Written by tidemark, because the backup has no postgresql.conf.",
            "max_connections = \(control.maxConnections)",
            "max_worker_processes = \(control.maxWorkerProcesses)",
            "max_wal_senders = \(control.maxWALSenders)",
            "max_prepared_transactions = \(control.maxPreparedTransactions)",
            "max_locks_per_transaction = \(control.maxLocksPerTransaction)",
        ]
        for name in ["shared_buffers", "shared_preload_libraries", "port"] {
            if let value = settings[name], !value.isEmpty { lines.append(RecoverySetting(name, value).line) }
        }
        return lines.joined(separator: "\n") + "\n"
    }
}

/// What is known about the recovered server's configuration files before anything is restored, as sentences.
///
/// - Parameter original: the data directory the backup was taken of.
/// - Throws: `Problem` when a file named by `--set` can't be used.
public func configurationOutlook(
    _ backup: BackupDescription, directory: String, setup: RecoverySetup, original: String
) throws -> [String] {
    try ServerConfiguration(
        directory: directory, isOwn: setup.isOwnDirectory, settings: backup.settings, chosen: setup.extra
    ).outlook(major: backup.major, original: original)
}

import Backups
import DataDirectory
import Glibc
import Platform

/// The configuration files a server needs, when the backup has none because they lie elsewhere: Debian keeps them under
/// `/etc/postgresql/<major>/<cluster>`.
struct ServerConfiguration {
    let directory: String
    let isOwn: Bool
    /// The settings recorded in the backup.
    let settings: [String: String]
    /// The settings given with `--set`.
    let chosen: [RecoverySetting]
    /// Some backups don't record the data directory; then it is assumed to be where postgresql.conf was, unless that
    /// lay elsewhere.
    private var configured: String? {
        settings["config_file"].flatMap { file in
            Files.name(file) == "postgresql.conf" && settings["hba_file"] == Files.parent(file) + "/pg_hba.conf"
                && !file.hasPrefix("/etc/") ? Files.parent(file) : nil
        }
    }

    init(_ backup: BackupDescription, directory: String, setup: RecoverySetup) {
        (self.directory, isOwn) = (directory, setup.isOwnDirectory)
        (settings, chosen) = (backup.settings, setup.extra)
    }

    /// How paths of the original lead into the new directory. The configuration says how the server was started;
    /// through a symbolic link, the directory's own name may be different.
    var relocation: Relocation {
        Relocation(
            from: [settings["data_directory"] ?? configured, settings[BackupDescription.resolvedDirectory]]
                .compactMap { $0?.isEmpty == false ? $0 : nil },
            linked: LinkedPath.all(in: settings[BackupDescription.linkedPaths]), to: directory)
    }

    /// Adapts the paths in the backup's configuration files to the new directory; returns what could not be read.
    func relocate() throws -> [String] {
        let major = try DataDirectory(directory).majorVersion()
        let hasOne = try Files.exists(directory + "/postgresql.conf")
        let unreadable = try relocation.rewriteFiles(
            top: chosenFile ?? (isOwn && !hasOne ? ownFile(major: major) : nil))
        return unreadable.map { error in
            "Not all of the server's configuration could be read: \(error.message). Settings in the rest are not known, and paths there were not changed "
                + "to lead into the new directory; check it before the server goes into service."
        }
    }

    /// Creates what is missing; returns what that was, and the options for the server's command line.
    func complete() throws -> (remarks: [String], options: [String]) {
        var (remarks, options) = try files()
        // Only files in the new directory are rewritten.
        let effective = try ConfigurationFiles(
            of: DataDirectory(directory), top: ServerConfiguration.file(in: options), passingOver: true
        ).effective["data_directory"]
        if let entry = effective, entry.value != directory {
            options.append("data_directory=\(directory)")
            remarks.append(
                "\"\(entry.file)\" sets data_directory = '\(entry.value)': never start this server without "
                    + "-c data_directory=\(directory).")
        }
        return (remarks, options)
    }

    private func files() throws -> (remarks: [String], options: [String]) {
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
            remarks.append("pg_hba.conf was missing, too; the new one admits users of this host under their own names.")
        }
        if try !Files.exists(directory + "/pg_ident.conf") {
            try createDurably(directory + "/pg_ident.conf", bytes: [], mode: 0o600)
        }
        return (remarks, [])
    }

    /// The `config_file` among options of a server's command line.
    static func file(in options: [String]) -> String? {
        options.last { $0.hasPrefix("config_file=") }.map { String($0.dropFirst("config_file=".count)) }
    }

    var chosenFile: String? { chosen.last { $0.name == "config_file" }?.value }

    /// The cluster's own configuration file on this host, outside of the data directory: where the backup says it was,
    /// or in Debian's `/etc/postgresql/<major>/<cluster>/postgresql.conf`.
    func ownFile(major: Int) throws -> String? {
        if let file = settings["config_file"], !file.hasPrefix(directory + "/"), try Files.exists(file) {
            // If it can't be read, the backup's word counts: a server starts with no other file in its place.
            do { if try isFor(directory, file) { return file } } catch is SystemError { return file }
        }
        let root = "/etc/postgresql/\(major)"
        return try Files.listIfPresent(root).sorted().map { "\(root)/\($0)/postgresql.conf" }
            .first { (try? Files.exists($0) && names(directory, $0)) == true }
    }

    /// Whether a server with this configuration file opens `directory`, when that is on its command line.
    func isFor(_ directory: String, _ file: String) throws -> Bool {
        try !dataDirectories(in: file).isEmpty ? names(directory, file) : true
    }

    private func names(_ directory: String, _ file: String) throws -> Bool {
        try dataDirectories(in: file).contains { $0.contains("'\(directory)'") }
    }

    /// Why an existing file can't be read; nil when it can, or doesn't exist.
    static func whyUnreadable(_ file: String) -> String? {
        do throws(SystemError) {
            _ = try Descriptor(open: file, O_RDONLY)
            return nil
        } catch { return [ENOENT, ENOTDIR].contains(error.code) ? nil : error.message }
    }

    /// The data_directory that a configuration file sets; nil when it sets none, or can't be read.
    static func dataDirectory(in file: String) -> String? {
        guard let text = try? Files.read(file, limit: 1 << 22) else { return nil }
        return text.split(separator: 10).compactMap { ConfigurationLine($0) }.last { $0.name == "data_directory" }?
            .value
    }

    private func dataDirectories(in file: String) throws -> [Substring] {
        try Files.readText(file).split(separator: "\n").filter { ConfigurationLine($0.utf8)?.name == "data_directory" }
    }

    /// The minimum for replay: at least the original's values of these (`CheckRequiredParameterValues`).
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

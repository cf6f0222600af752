import BaseBackup
import DataDirectory
import Glibc
import Platform

/// The configuration files a server needs, when the backup has none because they live elsewhere: Debian keeps them
/// under `/etc/postgresql/<major>/<cluster>`.
struct ServerConfiguration {
    let directory: String
    let isOwn: Bool
    let settings: [String: String]

    init(_ request: RecoverRequest) {
        directory = request.directory
        isOwn = request.setup.isOwnDirectory
        settings = request.backup.settings
    }

    /// Makes up what is missing; says what that was, and what the server must be told on its command line.
    func complete() throws -> (remarks: [String], options: [String]) {
        guard try !Files.exists(directory + "/postgresql.conf") else { return ([], []) }
        if isOwn, let file = try debianFile() {
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

    /// `/etc/postgresql/<major>/<cluster>/postgresql.conf` that names this data directory.
    private func debianFile() throws -> String? {
        let major = try DataDirectory(directory).majorVersion()
        let root = "/etc/postgresql/\(major)"
        for cluster in try Files.listIfPresent(root).sorted() {
            let path = "\(root)/\(cluster)/postgresql.conf"
            guard let text = try? Files.readText(path) else { continue }
            let names = text.split(separator: "\n").contains {
                SettingsBlock.settingName($0) == "data_directory" && $0.contains("'\(directory)'")
            }
            if names { return path }
        }
        return nil
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

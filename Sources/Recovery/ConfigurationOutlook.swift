public import Backups
import Platform

/// What is known about the recovered server's configuration files before anything is restored, as sentences. It is
/// taken from the backup's record, since the present configuration may be another machine's.
///
/// - Parameter holds: whether the backup has a file, by its path in the data directory.
/// - Throws: `Problem` when a file named by `--set` can't be used; what `holds` throws.
public func configurationOutlook(
    _ backup: BackupDescription, directory: String, setup: RecoverySetup, holds: (String) throws -> Bool
) throws -> [String] {
    try withoutActuallyEscaping(holds) { holds in
        try ConfigurationOutlook(
            configuration: ServerConfiguration(backup, directory: directory, setup: setup), major: backup.major,
            holds: holds
        ).sentences()
    }
}

private struct ConfigurationOutlook {
    let configuration: ServerConfiguration
    let major: Int
    let holds: (String) throws -> Bool
    private var settings: [String: String] { configuration.settings }
    private var directory: String { configuration.directory }

    func sentences() throws -> [String] {
        for setting in configuration.chosen where ["config_file", "hba_file", "ident_file"].contains(setting.name) {
            guard try !willBeThere(setting.value, named: setting.name) else { continue }
            throw Problem(
                "file \"\(setting.value)\" of --set \(setting.name) does not exist",
                detail: inside(setting.value).map { "The backup has no \"\($0)\"." })
        }
        if let file = configuration.chosenFile {
            // A configuration file in the backup is adapted to the new directory.
            guard try inside(file) != nil || configuration.isFor(directory, file) else {
                throw Problem(
                    "configuration file \"\(file)\" belongs to another data directory",
                    detail: "Its data_directory is not \"\(directory)\": the server would open that one.",
                    hint: "Name a copy of the file without data_directory.")
            }
            return []
        }
        if try hasOwnConfiguration() { return outside() }
        if configuration.isOwn, let file = try configuration.ownFile(major: major) {
            return unreadable(file).map { ["The server's configuration file cannot be read: \($0)"] + outside() }
                ?? outside()
        }
        guard let file = settings["config_file"], !file.isEmpty else { return [] }
        return [
            "The original's configuration file, \"\(file)\", is not in the backup; a minimal one will be written. To use "
                + "another: --set config_file=FILE."
        ]
    }

    /// The server uses `postgresql.conf` of its directory if there is one, wherever the original's was.
    private func hasOwnConfiguration() throws -> Bool {
        guard let file = settings["config_file"], !file.isEmpty else { return true }
        if let original = settings["data_directory"], file == original + "/postgresql.conf" { return true }
        return try holds("postgresql.conf")
    }

    /// The path relative to the new directory, for a file within it.
    private func inside(_ file: String) -> String? {
        file.hasPrefix(directory + "/") ? String(file.dropFirst(directory.count + 1)) : nil
    }

    private func willBeThere(_ file: String, named name: String) throws -> Bool {
        guard let path = inside(file) else { return try Files.exists(file) }
        if try holds(path) { return true }
        // The recovery creates these when the backup has no configuration at all.
        let made = ["hba_file": "pg_hba.conf", "ident_file": "pg_ident.conf"]
        guard made[name] == path, configuration.chosenFile == nil else { return false }
        return try !hasOwnConfiguration() && !(configuration.isOwn && configuration.ownFile(major: major) != nil)
    }

    /// Why an existing file can't be read, and the consequence; nil when it can.
    private func unreadable(_ path: String) -> String? {
        ServerConfiguration.whyUnreadable(path).map { reason in
            "\(reason). Its settings are not known here, and a server whose user can't read it either will not start."
        }
    }

    // MARK: Paths outside the data directory

    /// Settings that name files without which the server doesn't start.
    private var read: [String] {
        ["hba_file", "ident_file"]
            + (usesTLS
                ? ["ssl_cert_file", "ssl_key_file", "ssl_ca_file", "ssl_crl_file", "ssl_crl_dir", "ssl_dh_params_file"]
                : [])
    }

    private var usesTLS: Bool {
        if let chosen = configuration.chosen.last(where: { $0.name == "ssl" }) { return chosen.value == "on" }
        return configuration.isOwn && settings["ssl"] == "on"
    }

    private func outside() -> [String] {
        let chosen = Set(configuration.chosen.map(\.name))
        func outsider(_ name: String) -> String? {
            guard !chosen.contains(name), let path = settings[name], !path.isEmpty else { return nil }
            let moved = configuration.relocation.moved(path)
            return configuration.relocation.isInside(moved) ? nil : moved
        }
        func isThere(_ path: String) -> Bool { (try? Files.exists(path)) != false }
        func isReadable(_ path: String, _ name: String) -> Bool {
            guard let problem = unreadable(path) else { return true }
            sentences.append("The original's \(name) cannot be read: \(problem)")
            return false
        }
        var sentences: [String] = []
        for name in read {
            guard let path = outsider(name) else { continue }
            if !isThere(path) {
                sentences.append(
                    "The original's \(name) is \"\(path)\", which this host doesn't have: the server will not "
                        + "start. Use --set \(name)=FILE.")
            } else if !isReadable(path, name) {
                continue
            } else if !configuration.isOwn {
                sentences.append(
                    "The original's \(name) is \"\(path)\", outside of its data directory: this server will read the same "
                        + "file. To use another: --set \(name)=FILE.")
            }
        }
        for file in settings[BackupDescription.configurationFiles]?.split(separator: "\n").map(String.init) ?? [] {
            let moved = configuration.relocation.moved(file)
            guard !configuration.relocation.isInside(moved), file != settings["config_file"],
                isReadable(moved, "included configuration file"), !(configuration.isOwn && isThere(moved))
            else { continue }
            if let other = ServerConfiguration.dataDirectory(in: moved), other != directory {
                sentences.append(
                    "\"\(moved)\" sets data_directory = '\(other)'. This server is started with the new directory on its "
                        + "command line; if it is started without that, the original is started.")
            }
            sentences.append(
                isThere(moved)
                    ? "The original's configuration includes \"\(moved)\", outside of its data directory: this server will "
                        + "read the same file."
                    : "The original's configuration includes \"\(moved)\", which this host doesn't have: the server will not "
                        + "start if it is required. Copy it here, or use --set config_file=FILE.")
        }
        for (name, replacement) in CopySettings.places {
            guard let path = outsider(name) else { continue }
            if !configuration.isOwn {
                sentences.append(
                    "The original's \(name) is \"\(path)\", outside of its data directory: this server will "
                        + (replacement.isEmpty ? "write none." : "use \"\(replacement)\" in its own."))
            } else if name == "log_directory", settings["logging_collector"] == "on", !isThere(path) {
                sentences.append(
                    "The original's \(name) is \"\(path)\", which this host doesn't have. Create it, or use --set "
                        + "\(name)=log.")
            }
        }
        return sentences
    }
}

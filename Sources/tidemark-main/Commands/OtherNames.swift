import Configuration

extension Commands {
    /// The command that somebody means who types a name that doesn't exist: the one to which another tool gives that
    /// name, or else the nearest by spelling.
    static func meant(by name: String) -> String? {
        otherNames[name.replacing("_", with: "-")] ?? suggestion(for: name, among: grammars.map(\.command))
    }

    /// What pgBackRest, Barman, WAL-G, pgmoneta and restic call it.
    private static let otherNames: [String: String] = [
        "stanza-create": "init", "stanza-upgrade": "init", "create-stanza": "init", "setup": "init",
        "configure": "init", "wal-push": "archive-push", "barman-wal-archive": "archive-push",
        "wal-fetch": "archive-get", "get-wal": "archive-get", "barman-wal-restore": "archive-get",
        "backup-push": "backup", "basebackup": "backup", "pg_basebackup": "backup", "pg-basebackup": "backup",
        "backup-fetch": "recover", "restore": "recover", "pitr": "recover", "delta-restore": "recover",
        "restore-table": "recover-table", "table-restore": "recover-table", "undrop": "recover-table", "info": "list",
        "list-backup": "list", "list-backups": "list", "backup-list": "list", "backups": "list", "snapshots": "list",
        "show-backups": "list", "ls": "list", "show-backup": "show", "backup-show": "show", "verify-backup": "verify",
        "backup-verify": "verify", "check-backup": "verify", "pg_verifybackup": "verify", "pg-verifybackup": "verify",
        "validate": "verify", "wal-verify": "verify", "test": "drill", "wal-show": "segments",
        "list-files": "segments", "timelines": "window", "prune": "expire", "forget": "expire", "retain": "expire",
        "delete": "remove", "delete-backup": "remove", "backup-delete": "remove", "rm": "remove", "diagnose": "check",
        "doctor": "check", "ping": "check", "server-info": "status", "show-server": "status", "config": "settings",
        "conf": "settings",
    ]
}

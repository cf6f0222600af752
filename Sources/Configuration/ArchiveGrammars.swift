extension Grammar {
    /// The commands that PostgreSQL runs itself.
    public static let archivePush = Grammar(
        "archive-push", "archive one WAL file; PostgreSQL's archive_command",
        description: [
            "PostgreSQL runs this for every finished WAL segment, timeline history file and backup history file. A segment's header, "
                + "system identifier and every record's CRC are checked before it is stored; exit status 0 means that it is stored "
                + "and durable, so that PostgreSQL may recycle the file.",
            "A file that is already in the repository is accepted again if its contents are the same, and refused if they are not: "
                + "nothing is ever overwritten.",
        ],
        words: [Word("PATH", "the file to archive: %p in archive_command")],
        options: [
            Option(
                "accept-discontinuity",
                "store a segment although it does not continue its predecessor; recorded with the segment"),
            Option("timing", "report on standard error how long each step took"),
        ],
        examples: [
            Example("archive_command = 'tidemark archive-push %p'", "in postgresql.conf"),
            Example(
                "tidemark archive-push --cluster main pg_wal/000000010000000000000007",
                "by hand, from the data directory"),
        ],
        exits: [(1, "not stored; PostgreSQL tries again")])

    public static let archiveGet = Grammar(
        "archive-get", "fetch one WAL file from the archive; PostgreSQL's restore_command",
        description: [
            "PostgreSQL runs this during recovery and on standbys. The file is verified, written next to the destination and then "
                + "renamed, so that it is either complete or absent."
        ],
        words: [
            Word("NAME", "the file's name: %f in restore_command"),
            Word("DESTINATION", "where to put it: %p in restore_command"),
        ],
        options: [
            Option(
                "confine-tablespaces",
                "put tablespaces that are created during replay into the data directory, not where the original has them; \"recover\" "
                    + "sets it for copies"),
            Option("put-aside", value: "N", "also serve files of timeline N that were put aside; \"recover\" sets it"),
            Option("timing", "report on standard error how long each step took"),
        ],
        examples: [
            Example("restore_command = 'tidemark archive-get %f %p'", "in postgresql.conf"),
            Example("tidemark archive-get 00000002.history /tmp/00000002.history", "by hand"),
        ],
        exits: [
            (1, "known not to be in the archive: PostgreSQL ends recovery, or looks elsewhere"),
            (2, "not used"),
            (
                200,
                "anything else (unreadable repository, corrupt object, wrong usage): PostgreSQL stops instead of ending recovery early"
            ),
        ])

    public static let recoveryEnd = Grammar(
        "recovery-end", "remove a recovery's settings from a data directory; PostgreSQL's recovery_end_command",
        description: [
            "\"tidemark recover\" writes it into postgresql.auto.conf, and PostgreSQL runs it when the recovery is over. It removes "
                + "the settings of the recovery, because every standby created from the directory would obey a target that is left there. "
                + "The original's own settings of the same names are then in effect again.",
            "It does nothing while the recovery isn't over, and if there is nothing to remove.",
        ],
        options: [Option("data-directory", value: "DIR", "the data directory (default: the current directory)")],
        examples: [Example("tidemark recovery-end --data-directory /srv/recovered", "by hand")],
        exits: [(1, "the settings could not be removed")])
}

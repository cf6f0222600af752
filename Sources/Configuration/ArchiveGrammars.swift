extension Grammar {
    /// The commands PostgreSQL starts itself.
    public static let archivePush = Grammar(
        "archive-push", "archive one WAL file; PostgreSQL's archive_command",
        description: [
            "PostgreSQL runs this for every finished WAL segment, timeline history file and backup history file. A segment's header, "
                + "system identifier and every record's CRC are checked before it is stored; exit status 0 means that it is stored "
                + "and durable, so that PostgreSQL may recycle the file.",
            "A file that is in the repository already is accepted again when its content is the same, and refused when it is not: "
                + "nothing is ever overwritten.",
        ],
        words: [Word("PATH", "the file to archive: %p in archive_command")],
        options: [
            Option(
                "accept-discontinuity",
                "store a segment although it does not continue its predecessor; recorded with the segment"),
            Option("timing", "report on standard error where the time went"),
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
            "PostgreSQL runs this during recovery and on standbys. The file is verified, written beside the destination and then "
                + "renamed, so that it is there whole or not at all."
        ],
        words: [
            Word("NAME", "the file's name: %f in restore_command"),
            Word("DESTINATION", "where to put it: %p in restore_command"),
        ],
        options: [
            Option(
                "confine-tablespaces",
                "a tablespace that the log makes comes to lie in the data directory, not where the original has it; \"recover\" "
                    + "sets it for copies"),
            Option("put-aside", value: "N", "serve timeline N although it was put aside; \"recover\" sets it"),
            Option("timing", "report on standard error where the time went"),
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
        "recovery-end", "take a recovery's settings out of a data directory; PostgreSQL's recovery_end_command",
        description: [
            "\"tidemark recover\" writes it into postgresql.auto.conf, and PostgreSQL runs it when the recovery is over. It takes out "
                + "what was right for the recovery only: targets left there would be obeyed by every standby made from the directory. "
                + "The original's own settings of the same names count again.",
            "While the directory is still to be recovered, and where there is nothing to take out, it does nothing.",
        ],
        options: [Option("data-directory", value: "DIR", "the data directory (default: the current directory)")],
        examples: [Example("tidemark recovery-end --data-directory /srv/recovered", "by hand")],
        exits: [(1, "the settings could not be taken out")])
}

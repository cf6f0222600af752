public import DataDirectory
import Platform
import WAL

extension Connection {
    /// Whether this server runs on this directory, and not on a copy of it, a standby's or one of the same path on
    /// another host: compares the server's pg_control functions with the directory's file. Needs no privileges.
    ///
    /// - Throws: `QueryFailure`, and what reading pg_control throws.
    public func runs(on directory: DataDirectory) throws -> Bool {
        // On a network file system the file may change a moment later.
        for attempt in 0..<5 {
            if attempt > 0 { Clock.sleep(milliseconds: 200) }
            var before = try directory.controlFile()
            while true {
                let theirs = try controlPoint()
                let after = try directory.controlFile()
                if [before, after].contains(where: { Connection.controlPoint($0) == theirs }) { return true }
                if before == after { break }
                // The file has just been written.
                before = after
            }
        }
        return false
    }

    /// - Throws: `Problem` when the server runs on another directory; and as `runs`.
    public func confirmRuns(on directory: DataDirectory) throws {
        func problem(_ detail: String) -> Problem {
            Problem(
                "the server does not run on data directory \"\(directory.path)\"", detail: detail,
                hint: "Do \"conninfo\" and \"data_directory\" belong to the same cluster?")
        }
        let (own, served) = (try directory.controlFile().systemIdentifier, try systemIdentifier())
        guard served == own else {
            throw problem("The server's system identifier is \(served), the directory's \(own).")
        }
        // A standby and every copy have the same identifier.
        guard try runs(on: directory) else {
            let path = try setting("data_directory") ?? ""
            throw problem(
                path.isEmpty
                    ? "It is a standby or a copy of the cluster: its pg_control differs."
                    : "The server says that it runs on \"\(path)\", and its pg_control differs.")
        }
    }

    /// Values that change whenever pg_control is written.
    private func controlPoint() throws(QueryFailure) -> [String] {
        try query(
            """
            SELECT s.system_identifier, extract(epoch FROM s.pg_control_last_modified)::bigint, c.checkpoint_lsn, c.redo_lsn,
                   c.timeline_id, r.min_recovery_end_lsn
            FROM pg_control_system() s, pg_control_checkpoint() c, pg_control_recovery() r
            """
        ).values.first?.map { word in
            // In the same format as tidemark's.
            word.map { $0.contains("/") ? LSN($0)?.description ?? $0 : $0 } ?? ""
        } ?? []
    }

    private static func controlPoint(_ control: ControlFile) -> [String] {
        [
            "\(Int64(bitPattern: control.systemIdentifier))", "\(control.time.microseconds / 1_000_000)",
            control.checkpoint.description, control.redo.description, control.timeline.description,
            control.minimumRecoveryPoint.description,
        ]
    }
}

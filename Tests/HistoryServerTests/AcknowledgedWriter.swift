import Platform
import Support
import WAL

/// Writes rows to whichever server is the primary, and records those whose commit was acknowledged.
final class AcknowledgedWriter {
    private let file: String
    private let process: BackgroundProcess

    /// - Parameter conninfo: names every server; the primary is chosen.
    init(_ conninfo: String, psql: String, in directory: String) throws {
        file = directory + "/acknowledged"
        // The server generates the row's value and returns it: receiving the value is the acknowledgement.
        let script = """
            #!/bin/bash
            row='insert into t select gen_random_uuid() from pg_sleep(0.004)'
            row+=' returning n, left(pg_walfile_name(pg_current_wal_insert_lsn()), 8);'
            while :; do
                yes "$row" | head -n 200 |
                    timeout --foreground 10 \(psql) -XAtq -d "\(conninfo)" -f - >> \(file) 2>/dev/null
                echo >> \(file)
                sleep 0.1
            done

            """
        try createDurably(directory + "/writer", bytes: Array(script.utf8), mode: 0o755)
        process = try BackgroundProcess("/bin/bash \(directory)/writer", name: "writer", in: directory)
    }

    deinit { process.endGroup() }

    /// The rows, and the timeline on which each was written. Whole lines only: psql may have been killed while it
    /// wrote.
    func acknowledged() throws -> [String: TimelineID] {
        guard try Files.exists(file) else { return [:] }
        var rows: [String: TimelineID] = [:]
        for line in try Files.readText(file).split(separator: "\n") where line.utf8.count == 45 {
            let parts = line.split(separator: "|")
            guard parts.count == 2, let timeline = UInt32(parts[1], radix: 16) else { continue }
            rows[String(parts[0])] = TimelineID(timeline)
        }
        return rows
    }
}

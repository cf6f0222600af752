import Platform
import Support

/// pgbench on whichever server is the primary, started again whenever it loses its connection.
final class BenchLoad {
    private let process: BackgroundProcess

    /// - Parameter conninfo: names every server; the primary is chosen.
    init(_ conninfo: String, pgbench: String, in directory: String) throws {
        // Slow enough to leave the processors to the servers.
        let script = """
            #!/bin/bash
            while :; do
                timeout --foreground 600 \(pgbench) -i -q -s 1 "\(conninfo)" && break
                sleep 0.1
            done
            while :; do
                timeout --foreground 30 \(pgbench) -n -c 2 -R 20 -T 20 "\(conninfo)"
                sleep 0.1
            done

            """
        try createDurably(directory + "/bench", bytes: Array(script.utf8), mode: 0o755)
        process = try BackgroundProcess("/bin/bash \(directory)/bench", name: "bench", in: directory)
    }

    deinit { process.endGroup() }
}

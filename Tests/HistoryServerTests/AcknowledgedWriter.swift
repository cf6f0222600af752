import Platform
import Support

/// Writes rows to whichever of the servers takes them, and keeps those whose commit was acknowledged.
final class AcknowledgedWriter {
    private let file: String
    private let process: BackgroundProcess

    /// - Parameter conninfo: names every server; the one that takes writes is chosen.
    init(_ conninfo: String, psql: String, in directory: String) throws {
        file = directory + "/acknowledged"
        // The server makes the row's value and returns it: whoever has it has the acknowledgement.
        let script = """
            #!/bin/bash
            while :; do
                yes 'insert into t select gen_random_uuid() from pg_sleep(0.004) returning n;' | head -n 200 |
                    timeout --foreground 10 \(psql) -XAtq -d "\(conninfo)" -f - >> \(file) 2>/dev/null
                echo >> \(file)
                sleep 0.1
            done

            """
        try createDurably(directory + "/writer", bytes: Array(script.utf8), mode: 0o755)
        process = try BackgroundProcess("/bin/bash \(directory)/writer", name: "writer", in: directory)
    }

    deinit { process.endGroup() }

    /// Whole values only: psql may have been ended while it wrote.
    func acknowledged() throws -> Set<String> {
        guard try Files.exists(file) else { return [] }
        return Set(try Files.readText(file).split(separator: "\n").filter { $0.utf8.count == 36 }.map(String.init))
    }
}

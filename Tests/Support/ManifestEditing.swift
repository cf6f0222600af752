import Platform

/// Runs SQL statements, separated by semicolons, in the manifest of a repository's only backup, which they may change;
/// returns the rows, one a line. `run_list(length, frame, place)` makes the list of a single run.
@discardableResult
public func inManifest(of repository: String, _ statements: String) throws -> String {
    let scratch = try Scratch()
    let script = """
        set -e
        cd "$(dirname "$(find "$REPOSITORY" -name manifest.sqlite.zst)")"
        zstd -q -d -c manifest.sqlite.zst >"$WORK"
        python3 -c "import sqlite3, sys
        manifest = sqlite3.connect(sys.argv[1])
        def varint(number): return (bytes([number & 127 | 128]) + varint(number >> 7)) if number > 127 else bytes([number])
        def run_list(length, frame, place):
            return varint(2) + varint(2 * length) + varint(2 * frame if frame >= 0 else -2 * frame - 1) + varint(place)
        manifest.create_function('run_list', 3, run_list)
        for statement in sys.argv[2].split(';'):
            for row in manifest.execute(statement).fetchall(): print(*row)
        manifest.commit()" "$WORK" "$SQL"
        zstd -q "$WORK" -o "$WORK.zst"
        cat "$WORK.zst" >manifest.sqlite.zst
        """
    let finished = try run(
        "/usr/bin/env",
        [
            "REPOSITORY=" + repository, "WORK=" + scratch.file("manifest"), "SQL=" + statements, "/bin/bash", "-c",
            script,
        ])
    guard finished.ending == .exited(0) else { throw Problem(finished.errors) }
    return finished.output
}

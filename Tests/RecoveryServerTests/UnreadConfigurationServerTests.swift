import Glibc
import Platform
import Support
import Testing

/// A file outside the data directory that the original's configuration names and that can't be read.
private struct Unread: Sendable, CustomTestStringConvertible {
    let name: String
    /// A line of postgresql.conf; OUTSIDE is a directory.
    let line: String
    /// The unreadable path below OUTSIDE.
    let path: String
    /// Whether recovery warns that it could not read the file.
    var isToldByRecovery = true
    var testDescription: String { name }
}

private let unread = [
    Unread(name: "an included file", line: "include = 'OUTSIDE/extra.conf'", path: "extra.conf"),
    Unread(
        name: "a file that is included if it exists", line: "include_if_exists = 'OUTSIDE/extra.conf'",
        path: "extra.conf"),
    Unread(name: "a file in an included directory", line: "include_dir = 'OUTSIDE/conf.d'", path: "conf.d/one.conf"),
    Unread(name: "an included directory", line: "include_dir = 'OUTSIDE/conf.d'", path: "conf.d"),
    Unread(
        name: "the file of rules", line: "hba_file = 'OUTSIDE/pg_hba.conf'", path: "pg_hba.conf",
        isToldByRecovery: false),
]

@Suite struct UnreadConfigurationServerTests {
    @Test(arguments: unread)
    fileprivate func `configuration that cannot be read is reported, and the rest is adapted to the copy`(
        _ one: Unread
    ) throws {
        try #require(geteuid() == 0, "only root can take a file from the server's user")
        let site = try TestSite(initdb: ["--wal-segsize=1"])
        let outside = site.scratch.file("outside")
        let data = site.cluster.data
        try runAsServerUser(
            "/bin/sh",
            [
                "-c",
                "mkdir -p $0/conf.d && echo \"work_mem = '5MB'\" | tee $0/extra.conf >$0/conf.d/one.conf && cp $1/pg_hba.conf $0",
                outside, data,
            ])
        try site.cluster.append(
            to: "postgresql.conf",
            ["external_pid_file = '\(data)/other.pid'", one.line.replacing("OUTSIDE", with: outside)])
        try site.cluster.restart()
        try site.tidemark(["backup"], expectSuccess: true)
        try site.archiveEverything()
        let path = "\(outside)/\(one.path)"
        _ = try run("/bin/chown", ["root:", path])
        chmod(path, 0o700)

        let copy = try RecoveredDirectory(site)
        let planned = try site.tidemark(["plan", "--target", "latest", "--data-directory", copy.path])
        #expect(planned.ending == .exited(0), "\(planned)")
        #expect(planned.output.contains("cannot be read") && planned.output.contains(path), "\(planned)")
        let finished = try site.tidemark([
            "recover", "--target", "latest", "--data-directory", copy.path, "--yes",
        ])
        #expect(finished.ending == .exited(0), "\(finished)")
        if one.isToldByRecovery {
            let said = finished.output + finished.errors
            #expect(said.contains("Not all of the server's configuration could be read"), "\(said)")
            #expect(said.contains(path), "\(said)")
        }
        let text = try Files.readText(copy.path + "/postgresql.conf")
        #expect(text.contains("external_pid_file = '\(copy.path)/other.pid'"), "\(text)")
    }
}

import Glibc
import Platform
import Support
import Testing

/// Two of a cluster's directories that are nested.
private struct Nesting: Sendable, CustomTestStringConvertible {
    let testDescription: String
    let flags: [String]
    let says: String
    /// Makes links and directories in a scratch directory that has `data`, `repository`, `state`.
    let script: String
    var onlyRecover = false

    init(_ name: String, _ flags: [String], says: String, _ script: String = "", onlyRecover: Bool = false) {
        (testDescription, self.flags, self.says, self.script) = (name, flags, says, script)
        self.onlyRecover = onlyRecover
    }

    static let all = [
        Nesting(
            "repository in data", ["--repository", "D/data/repo"], says: "repository \"D/data/repo\" lies in data"),
        Nesting("repository is data", ["--repository", "D/data"], says: "lies in data directory"),
        Nesting("state in data", ["--state-directory", "D/data/s"], says: "state directory \"D/data/s\" lies in data"),
        Nesting(
            "scratch in data", ["--scratch-directory", "D/data/s"], says: "scratch directory \"D/data/s\" lies in"),
        Nesting("repository in state", ["--repository", "D/state/r"], says: "lies in state directory"),
        Nesting("repository in scratch", ["--scratch-directory", "D"], says: "lies in scratch directory"),
        Nesting("state in repository", ["--state-directory", "D/repository/s"], says: "lies in repository"),
        Nesting("scratch in repository", ["--scratch-directory", "D/repository/s"], says: "lies in repository"),
        Nesting("data in repository", ["--repository", "D"], says: "lies in repository"),
        Nesting(
            "through a link above", ["--repository", "D/link/repo"], says: "Their real paths are \"D/data/repo\"",
            "ln -s data link"),
        Nesting(
            "a link in data's place", ["--repository", "D/real/x", "--data-directory", "D/real-link"],
            says: "lies in", "mkdir real; ln -s real real-link"),
        Nesting(
            "in a tablespace", ["--repository", "D/space/repo"], says: "lies in tablespace \"D/space\"",
            "mkdir -p space data/pg_tblspc; ln -s $PWD/space data/pg_tblspc/16385"),
        Nesting(
            "in another server's data directory", ["--repository", "D/theirs/x/repo"],
            says: "lies in another server's directory \"D/theirs\"",
            "mkdir -p theirs/global; touch theirs/global/pg_control theirs/PG_VERSION"),
        Nesting(
            "state in another server's data directory", ["--state-directory", "D/theirs/s"],
            says: "lies in another server's directory \"D/theirs\"",
            "mkdir -p theirs/global; touch theirs/global/pg_control theirs/PG_VERSION"),
        Nesting(
            "scratch in another server's tablespace", ["--scratch-directory", "D/theirs/s"],
            says: "lies in another server's directory \"D/theirs\"", "mkdir -p theirs/PG_16_202307071"),
        Nesting(
            "a recovery in another server's data directory", ["--data-directory", "D/theirs/new"],
            says: "lies in another server's directory \"D/theirs\"",
            "mkdir -p theirs/global; touch theirs/global/pg_control theirs/PG_VERSION", onlyRecover: true),
        Nesting(
            "a tablespace in another server's tablespace", mapped("D/theirs/PG_16_202307071/x", "D/x"),
            says: "lies in another server's directory", "mkdir -p theirs/PG_16_202307071", onlyRecover: true),
        Nesting(
            "by a bind mount", ["--repository", "D/bound"], says: "lies in data directory",
            "mkdir -p data/inner bound; mount --bind data/inner bound"),
        Nesting(
            "the repository, mounted in data", [], says: "repository \"D/repository\" is mounted in data directory",
            "mkdir -p repository data/x && mount --bind repository data/x"),
        Nesting(
            "a part of the repository, mounted in data", [],
            says: "repository \"D/repository\" is mounted in data directory",
            "mkdir -p repository/main data/x/y && mount --bind repository/main data/x/y"),
        Nesting(
            "what contains the repository, mounted in data", ["--repository", "D/disk/backups/repository"],
            says: "repository \"D/disk/backups/repository\" is mounted in data directory",
            "mkdir -p disk/backups/repository data/x && mount --bind disk data/x"),
        Nesting(
            "a link to the repository, mounted in data", ["--repository", "D/link/repository"],
            says: "repository \"D/link/repository\" is mounted in data directory",
            "mkdir -p disk/repository data/x && ln -s disk link && mount --bind disk data/x"),
        Nesting(
            "the repository's other name, mounted in data", ["--repository", "D/bound/repository"],
            says: "repository \"D/bound/repository\" is mounted in data directory",
            "mkdir -p disk/repository bound data/x && mount --bind disk bound && mount --bind disk/repository data/x"),
        Nesting(
            "the state directory, mounted in data", [], says: "state directory \"D/state\" is mounted in data",
            "mkdir -p state data/x && mount --bind state data/x"),
        Nesting(
            "what contains the scratch directory, mounted in data", ["--scratch-directory", "D/disk/scratch"],
            says: "scratch directory \"D/disk/scratch\" is mounted in data directory",
            "mkdir -p disk/scratch data/x && mount --bind disk data/x"),
        Nesting(
            "the repository, mounted in a tablespace", [],
            says: "repository \"D/repository\" is mounted in tablespace \"D/space\"",
            "mkdir -p repository space/x data/pg_tblspc; ln -s $PWD/space data/pg_tblspc/16385; mount --bind repository space/x"
        ),
        Nesting(
            "data, mounted in the repository", [], says: "data directory \"D/data\" is mounted in repository",
            "mkdir -p repository/x && mount --bind data repository/x"),
        Nesting(
            "a part of data, mounted in the state directory", [],
            says: "data directory \"D/data\" is mounted in state directory",
            "mkdir -p data/base state/x && mount --bind data/base state/x"),
        Nesting(
            "a recovery into what the repository is mounted in", ["--data-directory", "D/new"],
            says: "repository \"D/repository\" is mounted in the recovery's directory",
            "mkdir -p repository new/x && mount --bind repository new/x", onlyRecover: true),
        Nesting(
            "a recovery in data", ["--data-directory", "D/data/new"], says: "the recovery's directory",
            onlyRecover: true),
        Nesting(
            "a recovery in the repository", ["--data-directory", "D/repository/new"], says: "the recovery's directory",
            onlyRecover: true),
        Nesting(
            "a recovery in state", ["--data-directory", "D/state/new"], says: "the recovery's directory",
            onlyRecover: true),
        Nesting(
            "a recovery in a tablespace", ["--data-directory", "D/space/new"], says: "the recovery's directory",
            "mkdir -p space data/pg_tblspc; ln -s $PWD/space data/pg_tblspc/16385", onlyRecover: true),
        Nesting(
            "a recovery above", ["--data-directory", "D"], says: "the recovery's directory", onlyRecover: true),
        Nesting(
            "a tablespace mapped into the repository",
            ["--data-directory", "D/new", "--tablespace-mapping", "/a=D/repository/x"], says: "tablespace directory",
            onlyRecover: true),
        Nesting("two tablespaces in one place", mapped("D/x", "D/x"), says: "lies in tablespace", onlyRecover: true),
        Nesting("a tablespace in another", mapped("D/x/y", "D/x"), says: "lies in tablespace", onlyRecover: true),
        Nesting(
            "two tablespaces in one place, by a link", mapped("D/x", "D/link"), says: "lies in tablespace",
            "mkdir x; ln -s x link", onlyRecover: true),
        Nesting(
            "a tablespace in the recovered directory", mapped("D/new/base", "D/x"),
            says: "lies in the recovery's directory", onlyRecover: true),
        Nesting(
            "a tablespace in a living one", mapped("D/space/PG_15_1/sub", "D/x"),
            says: "lies in tablespace \"D/space\"",
            "mkdir -p space data/pg_tblspc; ln -s $PWD/space data/pg_tblspc/16385", onlyRecover: true),
        Nesting(
            "a tablespace above a living one", mapped("D/above", "D/x"),
            says: "lies in tablespace directory \"D/above\"",
            "mkdir -p above/space data/pg_tblspc; ln -s $PWD/above/space data/pg_tblspc/16385", onlyRecover: true),
    ]

    private static func mapped(_ a: String, _ b: String) -> [String] {
        ["--data-directory", "D/new"] + ["/a=\(a)", "/b=\(b)"].flatMap { ["--tablespace-mapping", $0] }
    }

    static let commands = [
        ["init"], ["backup"], ["drill"],
        ["recover-table", "--table", "a.b.c", "--target", "latest", "--to-file", "/x"],
        ["recover", "--target", "latest", "--yes"], ["recover", "--target", "latest", "--delta", "--yes"],
        ["recover", "--target", "latest", "--dry-run"], ["recover", "--resume"], ["plan", "--target", "latest"],
    ]
}

/// Needs no server: the directories are compared before any connection.
@Suite(.serialized) struct NestedPlacesTests {
    @Test(arguments: Nesting.all) private func `nested directories are refused`(_ nesting: Nesting) throws {
        let scratch = try Scratch()
        let text = """
            repository = '\(scratch.file("repository"))'
            state_directory = '\(scratch.file("state"))'
            [cluster main]
            data_directory = '\(scratch.file("data"))'
            conninfo = 'host=\(scratch.path) port=1'

            """
        try createDurably(scratch.file("tidemark.conf"), bytes: Array(text.utf8), mode: 0o644)
        let made = try run(
            "/bin/sh",
            ["-c", "cd \"$0\" && mkdir -p data && \(nesting.script.isEmpty ? ":" : nesting.script)", scratch.path])
        try #require(made.ending == .exited(0), "\(made.errors)")
        defer {
            for point in (try? MountTable())?.points(below: scratch.path) ?? [] {
                _ = try? run("/bin/umount", ["-l", scratch.file(point)])
            }
        }
        _ = try run("/bin/sh", ["-c", "chown -R postgres \"$0\"", scratch.path])
        let before = try run("/usr/bin/find", [scratch.path]).output
        let flags = nesting.flags.map { $0.replacing("D/", with: scratch.path + "/") }
            .map { $0 == "D" ? scratch.path : $0 }
        let says = nesting.says.replacing("D/", with: scratch.path + "/")
        for command in Nesting.commands where !nesting.onlyRecover || command[0] == "recover" {
            let finished = try tidemark(
                command + flags, environment: ["TIDEMARK_CONFIG": scratch.file("tidemark.conf")])
            #expect(finished.ending == .exited(1), "\(command): \(finished.ending) \(finished.errors)")
            #expect(finished.errors.contains(says), "\(command): \(finished.errors)")
        }
        #expect(try run("/usr/bin/find", [scratch.path]).output == before)
        guard !nesting.onlyRecover else { return }
        let checked = try tidemark(
            ["check", "--only", "places"] + flags, environment: ["TIDEMARK_CONFIG": scratch.file("tidemark.conf")])
        #expect(
            checked.ending == .exited(3) && [" lies in ", " is mounted in "].contains { checked.output.contains($0) },
            "\(checked)")
    }
}

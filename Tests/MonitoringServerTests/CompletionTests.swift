import Platform
import Support
import Testing

/// Completions, tested in the shells themselves.
struct CompletionTests {
    private let scratch: Scratch

    init() throws { scratch = try Scratch() }

    private func written(_ shell: String) throws -> String {
        let path = scratch.file("completion.\(shell)")
        let text = try tidemark(["help", "--completions", shell], expectSuccess: true).output
        try createDurably(path, bytes: Array(text.utf8), mode: 0o644)
        return path
    }

    /// What is typed, and what must and must not be offered.
    private static let rows: [(line: [String], offered: String, not: String)] = [
        (["tidemark", "bac"], "backup", "check"), (["tidemark", "check", "--form"], "--format", "--textfile"),
        (["tidemark", "check", "--log-lev"], "--log-level", "--format"),
        (["tidemark", "check", "--log-level", "war"], "warning", "error"),
        (["tidemark", "recover", "--target-ti"], "--target-time", "--target-xid"),
        (["tidemark", "help", "not"], "notify", "check"),
    ]

    @Test func `bash offers what the grammar accepts`() throws {
        let path = try written("bash")
        for row in Self.rows {
            let words = row.line.map { "'\($0)'" }.joined(separator: " ")
            let finished = try run(
                "/bin/bash",
                [
                    "-c",
                    "set -eu; . \"$0\"; COMP_WORDS=(\(words)); COMP_CWORD=\(row.line.count - 1); _tidemark; printf '%s\\n' \"${COMPREPLY[@]}\"",
                    path,
                ])
            let offered = finished.output.split(separator: "\n").map(String.init)
            #expect(
                offered.contains(row.offered) && !offered.contains(row.not), "\(row.line): \(offered)\(finished.errors)"
            )
        }
    }

    @Test func `fish offers what the grammar accepts`() throws {
        let path = try written("fish")
        for row in Self.rows {
            let finished = try run(
                "/usr/bin/fish",
                ["--no-config", "-c", "source $argv[1]; complete -C $argv[2]", path, row.line.joined(separator: " ")],
                environment: ["HOME": scratch.path, "PATH": "/usr/bin:/bin"])
            let offered = finished.output.split(separator: "\n").map { String($0.prefix { $0 != "\t" }) }
            #expect(
                offered.contains(row.offered) && !offered.contains(row.not), "\(row.line): \(offered)\(finished.errors)"
            )
        }
    }

    @Test func `zsh reads the file, and is given every option with its words`() throws {
        let path = try written("zsh")
        let checked = try run("/usr/bin/zsh", ["-f", "-n", path])
        #expect(checked.ending == .exited(0) && checked.errors.isEmpty, "\(checked.errors)")
        let finished = try run(
            "/usr/bin/zsh",
            [
                "-f", "-c",
                "_arguments() { print -rl -- \"$@\" }; _describe() { print -rl -- $commands }; words=(tidemark check ''); CURRENT=3; . $0; words=(tidemark ''); CURRENT=2; . $0",
                path,
            ])
        #expect(finished.ending == .exited(0) && finished.errors.isEmpty, "\(finished.errors)")
        #expect(finished.output.contains("--format=["))
        #expect(
            finished.output.contains("--log-level=[") && finished.output.contains(":VALUE:(error warning log debug)"))
        #expect(finished.output.contains("\nbackup:take a base backup"))
    }

    @Test func `another shell is a usage error`() throws {
        #expect(try tidemark(["help", "--completions", "csh"]).ending == .exited(2))
    }
}

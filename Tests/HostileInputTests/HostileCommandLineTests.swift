import Glibc
import Platform
import Support
import Testing

/// Every command, with existing options and extreme values.
@Suite struct HostileCommandLineTests {
    /// A command's options, from its help.
    private static func options(of command: String) throws -> [String] {
        let help = try tidemark([command, "--help"], expectSuccess: true).output
        return help.matches(of: /--[a-z][a-z-]+/).map { String($0.output) }
    }

    private static let words = [
        "2026-11-20 08:12:45", "20261120T081245Z-full", "0/3000028", "latest", "000000010000000000000002",
        "db.public.t",
        "postgres.*.*", "1/0", "full", "a=b", "main", "1d", "256MB", "/dev/null", "/proc/self/mem", "00000002.history",
    ]

    @Test func `no command dies of its arguments`() throws {
        let scratch = try Scratch()
        // A cluster without a server, in a repository with one incarnation: there is nothing to change.
        let incarnation = "main/15-7300000000000000001"
        _ = try scratch.repository(of: incarnation)
        _ = try run("/bin/chmod", ["-R", "a+rwX", scratch.path])
        let configuration = scratch.file("tidemark.conf")
        let text = """
            repository = '\(scratch.path)'
            state_directory = '\(scratch.file("state"))'
            [cluster main]
            data_directory = '\(scratch.file("data"))'

            """
        try createDurably(configuration, bytes: Array(text.utf8), mode: 0o644)
        let commands = try tidemark(["help", "--list"], expectSuccess: true).output.split(separator: "\n").map(
            String.init)
        let options = try Dictionary(uniqueKeysWithValues: commands.map { ($0, try Self.options(of: $0)) })
        #expect(commands.count > 15 && options.values.allSatisfy { $0.count > 2 })
        var mutation = Mutation(seed: 1)
        var statuses: [Int32: Int] = [:]
        for number in 0..<(getenv("TIDEMARK_SOAK") == nil ? 150 : 20_000) {
            let command = commands[number % commands.count]
            var line = [command]
            for _ in 0...mutation.below(4) {
                let value = mutation.below(2) == 0 ? mutation.pick(Self.words) : mutation.pick(Mutation.numbers)
                let option = mutation.pick(options[command]!)
                switch mutation.below(4) {
                case 0: line.append(value)
                case 1: line.append("\(option)=\(value)")
                case 2:
                    let bytes = mutation.text(Array(value.utf8), others: [Array(option.utf8)])
                    line += [option, String(decoding: bytes.filter { $0 != 0 }.prefix(100_000), as: UTF8.self)]
                default: line += [option, value]
                }
            }
            // In a directory where a file of any name does no harm.
            let finished = try runAsServerUser(
                "/usr/bin/env",
                ["-C", scratch.path, "/usr/bin/timeout", "-s", "KILL", "300", Executables.tidemark()] + line,
                environment: ["TIDEMARK_CONFIG": configuration], expectSuccess: false)
            guard case .exited(let status) = finished.ending,
                (0...4).contains(status) || (command.hasPrefix("archive") && status != 132)
            else {
                Issue.record("\(line): \(finished.ending) \(finished.errors.suffix(500))")
                continue
            }
            statuses[status, default: 0] += 1
        }
        #expect(statuses[2, default: 0] > 10 && statuses.count > 1, "\(statuses)")
    }
}

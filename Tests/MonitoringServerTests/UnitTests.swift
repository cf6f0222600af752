import Platform
import Support
import Testing

/// The systemd units and the crontab sample, as far as they can be proved without a running systemd.
/// (`systemd-analyze verify` is in DocumentationTests.)
struct UnitTests {
    private static let root = Files.parent(Files.parent(Files.parent(#filePath)))

    private static func units(_ suffix: String) throws -> [(name: String, lines: [String])] {
        try Files.list(root + "/systemd").filter { $0.hasSuffix(suffix) }.sorted().map { name in
            (name, try Files.readText(root + "/systemd/" + name).split(separator: "\n").map(String.init))
        }
    }

    @Test func `no unit may do more than its job: systemd's own exposure level is at most 2.0 of 10`() throws {
        let scratch = try Scratch()
        for unit in try Self.units(".service") {
            let path = scratch.file(unit.name)
            let text = unit.lines.map { $0.replacing("/usr/local/bin/tidemark", with: "/bin/true") }
            try createDurably(path, bytes: Array((text.joined(separator: "\n") + "\n").utf8), mode: 0o644)
            let finished = try run("/usr/bin/systemd-analyze", ["security", "--offline=true", "--threshold=20", path])
            #expect(finished.ending == .exited(0), "\(unit.name): \(finished.output.suffix(200))\(finished.errors)")
            for line in [
                "NoNewPrivileges=yes", "CapabilityBoundingSet=", "AmbientCapabilities=", "ProtectHome=yes",
                "PrivateDevices=yes", "SystemCallFilter=@system-service",
            ] { #expect(unit.lines.contains(line), "\(unit.name): \(line)") }
            // It would take the running server's shared memory away.
            #expect(!unit.lines.contains { $0.hasPrefix("RemoveIPC") })
        }
    }

    @Test func `every job tells when it fails, runs as the server's user, and only one at a time`() throws {
        let services = try Self.units(".service")
        #expect(services.count >= 5)
        for unit in services {
            #expect(unit.lines.contains("User=postgres") && unit.lines.contains("Type=oneshot"), "\(unit.name)")
            if unit.name == "tidemark-alert@.service" { continue }
            #expect(unit.lines.contains("OnFailure=tidemark-alert@%n"), "\(unit.name)")
            #expect(unit.lines.contains { $0.hasPrefix("ExecStopPost=-/usr/local/bin/tidemark notify --deliver") })
        }
        let timers = try Self.units(".timer")
        #expect(
            timers.map { $0.name.dropLast(6) }
                == services.filter { !$0.name.contains("alert") }.map { $0.name.dropLast(8) })
        for timer in timers {
            #expect(timer.lines.contains("Persistent=yes"), "\(timer.name)")
            #expect(timer.lines.contains { $0.hasPrefix("RandomizedDelaySec=") }, "\(timer.name)")
            let calendar = try #require(timer.lines.first { $0.hasPrefix("OnCalendar=") }).dropFirst(
                "OnCalendar=".count)
            let finished = try run("/usr/bin/systemd-analyze", ["calendar", String(calendar)])
            #expect(finished.ending == .exited(0), "\(timer.name): \(finished.errors)")
        }
    }

    @Test func `the commands that units and crontab call exist, with their options`() throws {
        var calls: [String] = []
        for unit in try Self.units(".service") {
            calls += unit.lines.filter { $0.hasPrefix("Exec") }.compactMap { $0.range(after: "tidemark ") }
        }
        let crontab = try Files.readText(Self.root + "/crontab.sample").split(separator: "\n").map(String.init)
        calls += crontab.filter { $0.contains(" postgres ") }.compactMap { $0.range(after: " tidemark ") }
        #expect(calls.count >= 18)
        for call in calls {
            let words = call.split { $0 == " " || $0 == ">" || $0 == "|" }.map(String.init)
            let help = try tidemark([words[0], "--help"])
            #expect(help.ending == .exited(0), "\(words[0]): \(help.errors)")
            for option in words where option.hasPrefix("--") {
                #expect(
                    help.output.contains("\(option) ") || help.output.contains("\(option)\n"), "\(words[0]) \(option)")
            }
        }
    }
}

extension String {
    fileprivate func replacing(_ old: String, with new: String) -> String {
        var rest = self[...]
        var result = ""
        while let range = rest.firstRange(of: old) {
            result += rest[..<range.lowerBound] + new
            rest = rest[range.upperBound...]
        }
        return result + rest
    }

    fileprivate func range(after mark: String) -> String? {
        firstRange(of: mark).map { String(self[$0.upperBound...]) }
    }
}

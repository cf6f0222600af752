import Glibc
import Platform

/// The processes of a scratch cluster: those that work in its data directory, as every process of a server does and whatever
/// that starts; and those that are about to start a server on it.
struct ScratchProcesses {
    private let data: String
    private let place: FileStatus?

    init(_ data: String) throws(SystemError) {
        self.data = data
        place = try FileStatus(ifPresent: data)
    }

    /// Ends them at once: nothing in a scratch cluster needs an orderly end. Returns when all are gone, or can't be ended.
    func end() throws {
        let began = Clock.monotonic
        while true {
            let all = try find()
            if all.isEmpty { return }
            let waited = Clock.monotonic - began
            guard waited < 20_000_000_000 else {
                throw Problem("could not end process \(all[0].process) in \"\(data)\"")
            }
            // A postmaster that is asked takes its processes and its shared memory along.
            let isAsked = waited < 10_000_000_000
            let numbers = Set(all.map(\.process))
            for one in all where !isAsked || !numbers.contains(one.parent) {
                kill(one.process, isAsked && one.isServer ? SIGQUIT : SIGKILL)
            }
            // A server that ends takes a few milliseconds; looking often is cheaper than waiting long.
            for _ in 0..<20 where all.contains(where: { kill($0.process, 0) == 0 }) { Clock.sleep(milliseconds: 5) }
        }
    }

    private struct Member {
        let process: pid_t
        let parent: pid_t
        let isServer: Bool
    }

    private func find() throws -> [Member] {
        let user = geteuid()
        return try Files.list("/proc").compactMap { name in
            guard let process = pid_t(name), process != getpid(), let status = try? FileStatus(of: "/proc/" + name),
                status.owner == user || user == 0
            else { return nil }
            guard isPlace("/proc/\(name)/cwd") || isAbout("/proc/\(name)/cmdline") else { return nil }
            return member(process)
        }
    }

    private func member(_ process: pid_t) -> Member? {
        // The name in parentheses may have anything in it.
        guard let text = try? Files.readText("/proc/\(process)/stat", limit: 1 << 12),
            let end = text.lastIndex(of: ")")
        else { return nil }
        let fields = text[text.index(after: end)...].split(separator: " ")
        guard fields.count > 1, fields[0] != "Z" else { return nil }
        return Member(
            process: process, parent: pid_t(fields[1]) ?? 0, isServer: text[..<end].hasSuffix("(postgres"))
    }

    private func isPlace(_ link: String) -> Bool {
        guard let place, let its = try? FileStatus(of: link) else { return false }
        return its.isSame(as: place)
    }

    /// `pg_ctl -D …`, `postgres -D …`, and the shell in between, which is given `exec "…/postgres" -D "…"`.
    private func isAbout(_ commandLine: String) -> Bool {
        guard let text = try? Files.readText(commandLine, limit: 1 << 20), text.contains(data) else { return false }
        let words = text.split(separator: "\0")
        return zip(words, words.dropFirst()).contains { $0 == "-D" && $1 == data }
            || words.contains { $0.contains("-D \"\(data)\"") }
    }
}

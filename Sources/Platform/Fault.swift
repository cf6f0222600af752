import Glibc
import Synchronization

/// Makes system calls fail, so that tests can show how a program reacts.
///
/// Armed by the environment variable `TIDEMARK_FAULT`, a list of faults separated by commas:
///
///     write:3=ENOSPC      the third write fails with that error
///     any:17=kill         the process is killed instead of its 17th call
///     fsync:*=EIO         every fsync fails
///     read:2=short        the second read moves half of what it could
///     rename:1=delay:500  the first rename waits that many milliseconds
///     open:postmaster.pid=gate:/tmp/open
///                         every open of something with that text in its path waits until /tmp/open exists, and makes
///                         /tmp/open.reached to say that it is there; after ten minutes the process is killed
///     open:/scratch/*postmaster.pid=kill
///                         both texts must be in the path
///     open:pg_control#3=EIO   the third open of something with that text in its path fails
///     trace               every call is reported on standard error as "trace: fsync <path>"
///
/// Calls are named as in `SystemCall`. Every fault that applies is reported on standard error as "fault: …". A test
/// that must catch a process at a certain point holds it at a gate, so that timing doesn't matter.
public enum Fault {
    /// False except in tests.
    public static let isArmed = getenv("TIDEMARK_FAULT") != nil

    /// Called before a system call: returns the error with which it must fail, or nil.
    public static func strike(_ call: SystemCall, _ subject: String) -> Int32? {
        let hit = plan.count(call, subject)
        if plan.traces { say("trace: \(call) \(subject)") }
        guard let hit else { return nil }
        switch hit {
        case .error(let code):
            say("fault: \(call) \(subject) fails with \(code)")
            return code
        case .kill:
            say("fault: killed at \(call) \(subject)")
            kill(getpid(), SIGKILL)
        case .delay(let milliseconds):
            say("fault: \(call) \(subject) waits")
            Clock.sleep(milliseconds: milliseconds)
        case .gate(let file): wait(at: file, call, subject)
        case .short: break
        }
        return nil
    }

    /// How many of `count` bytes the next read or write may transfer.
    public static func length(_ call: SystemCall, _ count: Int) -> Int {
        guard count > 1, case .short? = plan.peek(call) else { return count }
        say("fault: \(call) is short")
        return count / 2
    }

    /// Makes no calls through `retrying`, which are counted.
    private static func wait(at file: String, _ call: SystemCall, _ subject: String) {
        guard access(file, F_OK) != 0 else { return }
        say("fault: \(call) \(subject) waits for \(file)")
        let reached = open(file + ".reached", O_WRONLY | O_CREAT, 0o644)
        if reached >= 0 { Glibc.close(reached) }
        // Counted, since a test may speed up the clock.
        for _ in 0..<30_000 {
            if access(file, F_OK) == 0 { return }
            Clock.sleep(milliseconds: 20)
        }
        say("fault: nobody opened \(file)")
        kill(getpid(), SIGKILL)
    }

    private static let plan = FaultPlan(getenv("TIDEMARK_FAULT").map { String(cString: $0) } ?? "")

    private static func say(_ text: String) {
        var line = text + "\n"
        _ = line.withUTF8 { Glibc.write(2, $0.baseAddress, $0.count) }
    }
}

private final class FaultPlan: Sendable {
    enum Effect: Sendable {
        case error(Int32)
        case kill
        case short
        case delay(Int)
        case gate(String)
    }
    private enum Which {
        case every
        case number(Int)
        /// Calls whose subject contains this text, or only the one with this number.
        case about(String, number: Int?)
    }
    private struct Rule: Sendable {
        /// Nil for any call.
        let call: String?
        let which: Which
        let effect: Effect
    }

    let traces: Bool
    private let rules: [Rule]
    private let counts = Mutex<[String: Int]>([:])

    init(_ text: String) {
        let parts = text.split { $0 == "," || $0 == " " }
        traces = parts.contains("trace")
        rules = parts.compactMap { part in
            let sides = part.split(separator: "=", maxSplits: 1)
            let place = sides[0].split(separator: ":", maxSplits: 1)
            guard sides.count == 2, place.count == 2, let effect = FaultPlan.effect(String(sides[1])) else {
                return nil
            }
            let which: Which = place[1] == "*" ? .every : Int(place[1]).map(Which.number) ?? FaultPlan.about(place[1])
            return Rule(call: place[0] == "any" ? nil : String(place[0]), which: which, effect: effect)
        }
    }

    private static func effect(_ text: String) -> Effect? {
        let codes = [
            "ENOSPC": ENOSPC, "EIO": EIO, "EACCES": EACCES, "EDQUOT": EDQUOT, "EROFS": EROFS, "EMFILE": EMFILE,
            "ENOENT": ENOENT, "EINVAL": EINVAL, "EINTR": EINTR, "ESTALE": ESTALE, "ETIMEDOUT": ETIMEDOUT,
            "ENOSYS": ENOSYS, "EPERM": EPERM,
        ]
        if let code = codes[text] { return .error(code) }
        if text == "kill" { return .kill }
        if text == "short" { return .short }
        if text.hasPrefix("gate:") { return .gate(String(text.dropFirst(5))) }
        guard text.hasPrefix("delay:"), let milliseconds = Int(text.dropFirst(6)) else { return nil }
        return .delay(milliseconds)
    }

    func count(_ call: SystemCall, _ subject: String) -> Effect? {
        let name = "\(call)"
        return counts.withLock { counts in
            counts[name, default: 0] += 1
            counts["any", default: 0] += 1
            var seen: Set<String> = []
            for rule in rules {
                if case .about(let text, _) = rule.which, FaultPlan.speaks(subject, of: text) { seen.insert(text) }
            }
            for text in seen { counts["\(name):\(text)", default: 0] += 1 }
            return effect(name, subject, counts)
        }
    }

    func peek(_ call: SystemCall) -> Effect? {
        let name = "\(call)"
        return counts.withLock { counts in
            var next = counts
            next[name, default: 0] += 1
            next["any", default: 0] += 1
            return effect(name, nil, next)
        }
    }

    /// Whether a path contains a text, or each of several that are joined by asterisks.
    private static func speaks(_ subject: String, of text: String) -> Bool {
        text.split(separator: "*").allSatisfy { subject.contains($0) }
    }

    private static func about(_ text: Substring) -> Which {
        let parts = text.split(separator: "#")
        guard parts.count == 2, let number = Int(parts[1]) else { return .about(String(text), number: nil) }
        return .about(String(parts[0]), number: number)
    }

    private func effect(_ name: String, _ subject: String?, _ counts: [String: Int]) -> Effect? {
        rules.first { rule in
            guard rule.call == nil || rule.call == name else { return false }
            switch rule.which {
            case .every: return true
            case .number(let wanted): return wanted == counts[rule.call ?? "any"]
            case .about(let text, let wanted):
                guard let subject, FaultPlan.speaks(subject, of: text) else { return false }
                return wanted == nil || wanted == counts["\(name):\(text)"]
            }
        }?.effect
    }
}

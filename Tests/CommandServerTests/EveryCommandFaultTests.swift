import Glibc
import Platform
import Support
import Testing

/// Every system call of the commands fails in turn, or is the last one of the killed process: each fault is answered
/// with a documented status, what was there is there, and the same command, or the one that is offered, ends the work.
/// In the long tests it is every call, otherwise a sample. (Others: FaultServerTests, BackupFaultTests,
/// ExpireFaultTests, LongCommandFaultTests, ReplaceFaultTests.)
@Suite(.serialized) struct EveryCommandFaultTests {
    private static let isSoak = getenv("TIDEMARK_SOAK") != nil
    private static let effects = ["EIO", "kill", "ENOSPC", "EACCES"]
    /// In the results of a command that shows what can't be read.
    private static let reasons = ["Input/output error", "No space left on device", "Permission denied"]

    @Test(arguments: EveryCommand.groups)
    func `whichever call fails, nothing is lost, and a further call ends the work`(_ group: EveryCommand.Group) throws {
        let place = try FaultedSite(group.commands[0])
        for command in group.commands { try strike(command, place) }
    }

    private func strike(_ command: EveryCommand, _ place: FaultedSite) throws {
        place.command = command
        try place.putBack()
        let before = try place.contents()
        let old = command.isRecovery ? try place.files(of: place.data) : ""
        let traced = try place.call(place.arguments, fault: "trace")
        let calls = traced.errors.split(separator: "\n").count { $0.hasPrefix("trace: ") }
        guard case .exited(let status) = traced.ending, command.successes.contains(status), calls > 10 else {
            throw Problem("\(command): \(calls) calls: \(traced)")
        }
        try place.done(before, old, "without a fault")
        var struck = 0
        let step = Self.isSoak ? 1 : max(1, calls / (command.isReading ? 2 : 3))
        let places = Array(stride(from: (step + 1) / 2, through: calls, by: step))
        for (number, call) in places.enumerated() {
            try place.putBack()
            // Another effect at the same call in another run.
            let effect = Self.effects[(number + calls) % Self.effects.count]
            let finished = try place.call(place.arguments, fault: "any:\(call)=\(effect)")
            let said = "\(command), any:\(call)=\(effect): \(finished.ending) \(finished.output) \(finished.errors)"
            if finished.errors.contains("fault: ") { struck += 1 }
            switch finished.ending {
            case .exited(137), .signalled(SIGKILL): #expect(effect == "kill", "\(said)")
            case .exited(let status):
                let isKnown =
                    command.successes.contains(status) || command.failures.contains(status) && effect != "kill"
                #expect(isKnown, "\(said)")
                let words = ["ERROR:", "WARNING:"] + (command.isReading ? Self.reasons : [])
                let isExplained = words.contains(where: (finished.errors + finished.output).contains)
                if !command.successes.contains(status) { #expect(isExplained, "\(said)") }
            case .signalled: Issue.record("\(said)")
            }
            try wait(for: "the last process: \(said)") { try place.running().isEmpty }
            try place.kept(before, old, said)
            try place.again(said)
            try place.done(before, old, said)
        }
        #expect(struck > places.count / 2, "\(command): only \(struck) of \(places.count) struck")
    }
}

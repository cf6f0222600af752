import Configuration
import Glibc
import Planning
import Platform
import Recovery
import WAL

/// Plans along the timeline that was asked for. Where nothing tells which one "latest" means, whoever sits at the terminal
/// is asked; without a terminal it is refused.
///
/// - Parameters:
///   - archive: what is planned in.
///   - plan: is called again with the answer.
/// - Throws: `Unreachable`, and what `plan` throws.
func choosingTimeline<Made>(
    _ invocation: Invocation, in archive: RecoveryArchive, _ plan: (RecoveryTarget.Timeline) throws -> Made
) throws -> Made {
    let timeline = try TargetOptions.timeline(invocation.arguments.value("target-timeline"))
    do { return try plan(timeline) } catch let refusal as PlanRefusal {
        guard case .severalBranches(let branches) = refusal.reason, isatty(0) == 1, !invocation.json,
            !invocation.arguments.has("yes")
        else { throw Unreachable(refusal: archive.told(refusal)) }
        invocation.print("\(refusal.message): \(refusal.detail ?? "")")
        writeToStandardOutput(
            "Which timeline is the cluster's? [\(branches.map(\.timeline.description).joined(separator: "/"))] ")
        let answer = (readLine(strippingNewline: true) ?? "").filter { !$0.isWhitespace }
        guard let chosen = branches.first(where: { $0.timeline.description == answer }) else {
            throw Unreachable(refusal: archive.told(refusal))
        }
        do { return try plan(.number(chosen.timeline)) } catch let refusal as PlanRefusal {
            throw Unreachable(refusal: archive.told(refusal))
        }
    }
}

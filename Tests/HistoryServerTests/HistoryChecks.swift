import FoundationEssentials
import Platform
import Recovery
import Support
import WAL

/// The part of `plan --json` that the tests use.
private struct PlanAnswer: Decodable {
    struct Stop: Decodable { let lsn: String }
    struct Backup: Decodable { let startLsn: String }
    let stop: Stop
    let backup: Backup
}

extension ServerGroup {
    /// Every server is made with segments of 1 MB.
    static let segmentSize: UInt32 = 1 << 20

    /// The segments of the primary's history, from the oldest backup to the newest archived one, that the repository
    /// lacks: found by names alone, as PostgreSQL looks for a file (`XLogFileReadAnyTLI`, xlogrecovery.c).
    func missingSegments(of primary: Server) throws -> [SegmentName] {
        let size = Self.segmentSize
        let history = try primary.history()
        var there: Set<SegmentName> = []
        var begins: [UInt64] = []
        for name in try archived() {
            if let segment = SegmentName(name) { there.insert(segment) }
            if name.hasSuffix(".backup"), let segment = SegmentName(String(name.prefix(24))) {
                begins.append(segment.number(segmentSize: size))
            }
        }
        let own = there.filter { $0.timeline == history.timeline }.map { $0.number(segmentSize: size) }
        guard let begin = begins.min(), let end = own.max() else { return [] }
        return (begin...max(begin, end)).compactMap { number in
            let left = history.ancestors.first { number < $0.switchPoint.rawValue / UInt64(size) }
            let name = SegmentName(timeline: left?.timeline ?? history.timeline, number: number, segmentSize: size)
            return there.contains(name) ? nil : name
        }
    }
}

extension RandomHistory {
    /// Compares all that tidemark reports with the facts, while no server works.
    func check() throws {
        group.step("check")
        let missing = try group.missingSegments(of: primary)
        for command in [["segments"], ["verify", "--wal"]] {
            let said = try primary.tidemark(command)
            let expected: Finished.TerminationStatus = .exited(missing.isEmpty ? 0 : 3)
            guard said.ending == expected else {
                throw Problem(
                    "\(command.joined(separator: " ")) ended with \(said.ending), expected \(expected)",
                    detail: "Missing are \(missing).\n\(said.output)\(said.errors)")
            }
            for name in missing.prefix(1) where !(said.output + said.errors).contains(name.description) {
                throw Problem(
                    "\(command.joined(separator: " ")) does not name the gap from \(name)",
                    detail: said.output + said.errors)
            }
        }
        // From the backup that was taken then, earlier gaps don't matter any more.
        let fresh = missing.filter { !passed.contains($0) }
        passed.formUnion(missing)
        if !fresh.isEmpty {
            group.step("missing are \(fresh): back up")
            let refused = try primary.tidemark(["plan", "--target", "latest"])
            guard refused.ending == .exited(4) else {
                throw Problem(
                    "plan ended with \(refused.ending) although \(fresh) are missing", detail: refused.output)
            }
            try backUp()
        } else if mayLackSegments {
            try backUp()
        }
        try comparePlan()
    }

    private func comparePlan() throws {
        let plan = try primary.tidemark(["plan", "--target", "latest", "--json"], expectSuccess: true)
        let decoder = JSONDecoder()
        decoder.keyDecodingStrategy = .convertFromSnakeCase
        let answer = try decoder.decode(PlanAnswer.self, from: Data(plan.output.utf8))
        let copy = RecoveredCopy(group)
        let outcome = try copy.recover(primary, ["--target", "latest"])
        guard let end = LSN(outcome.end), let planned = LSN(answer.stop.lsn),
            LSN.agree(end, planned, segmentSize: ServerGroup.segmentSize), outcome.asPredicted == true
        else {
            throw Problem("the plan ends at \(answer.stop.lsn), PostgreSQL at \(outcome.end)", detail: plan.output)
        }
        let there = try Set(copy.psql("select n from t").split(separator: "\n").compactMap { Int($0) })
        guard there == rows else {
            throw Problem(
                "the recovered copy has other rows than were acknowledged",
                detail: "Missing: \(rows.subtracting(there).sorted()); too many: \(there.subtracting(rows).sorted()).")
        }
    }
}

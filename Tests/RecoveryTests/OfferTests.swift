import Planning
import Platform
import Recovery
import Support
import Testing
import WAL

/// Every command that a refusal or a warning offers can be planned unchanged, and ends where the text says: over many
/// constructed histories of several timelines, with repeated names and transaction IDs, backups that take a while,
/// gaps, and clocks that are set back.
@Suite struct OfferTests {
    @Test func `every offer leads where it says`() throws {
        var kinds: [String: Int] = [:]
        for seed in UInt64(1)...100 {
            var random = SeededGenerator(seed: seed)
            let (archive, known) = random.history()
            for _ in 0..<40 {
                let request = random.request(of: archive, known)
                var offers: [PlanRefusal.Alternative]
                let texts: [String]
                do {
                    let made = try plan(request, from: archive)
                    (offers, texts) = (made.offers, made.warnings)
                    if !offers.isEmpty { kinds["warning", default: 0] += 1 }
                } catch let refusal as PlanRefusal {
                    offers = refusal.nearest
                    texts = [refusal.message, refusal.detail ?? "", refusal.hint ?? ""]
                    kinds[String("\(refusal.reason)".prefix { $0 != "(" }), default: 0] += offers.count
                }
                for offer in offers {
                    let asked = try planRequest(offer.arguments, known)
                    let what = "seed \(seed): \(request.arguments) is offered \(offer.sentence)"
                    let reached = try? plan(asked, from: archive)
                    #expect(reached?.end == offer.end, "\(what)")
                    if let label = request.backup, asked.backup != label, asked.target.point == request.target.point,
                        request.target.point != .immediate
                    {
                        #expect(offer.meaning.contains("from backup"), "\(what)")
                    }
                }
                // Nothing else is offered.
                var rest = texts.joined(separator: "\n")
                for offer in offers { rest = rest.replacing(offer.arguments.joined(separator: " "), with: "") }
                #expect(!rest.contains("--"), "seed \(seed): \(request.arguments): \(texts)")
            }
        }
        for kind in ["warning", "elsewhere", "gap", "afterLast", "beforeFirstBackup", "severalBranches"] {
            #expect(kinds[kind, default: 0] > 0, "\(kind) is not among \(kinds)")
        }
    }

    @Test func `every late transaction is counted, over however many segments`() throws {
        var archive = ConstructedArchive()
        var log = WALWriter()
        archive.allBackups.append(log.backup("a", second(0)))
        for n in 1...10 { log.commit(UInt32(100 + n), second(Double(n))) }
        // The clock is set back by a minute and advances by half a second until it is past the target again.
        log.commit(200, second(70))
        for n in 1...300 { log.commit(UInt32(1000 + n), second(20 + Double(n) / 10)) }
        archive.records[TimelineID(1)] = log.written
        for (time, late, last) in [(second(40), 200, 1200), (second(50), 300, 1300), (second(20.15), 1, 1001)] {
            let made = try plan(PlanRequest(RecoveryTarget(.time(time))), from: archive)
            #expect(made.lastIncluded?.xid == 110)
            let warning = try #require(made.warnings.first { $0.contains("commit time before the target") })
            #expect(warning.hasPrefix("\(late) transaction"), "\(warning)")
            #expect(warning.contains("the last is \(last), "), "\(warning)")
            let offer = try #require(made.offers.first)
            #expect(try plan(planRequest(offer.arguments, nil), from: archive).lastIncluded?.xid == UInt32(last))
        }
    }
}

extension SeededGenerator {
    private mutating func chance(_ percent: Int) -> Bool { Int.random(in: 0..<100, using: &self) < percent }

    /// An archive of up to four timelines, and where the cluster may be.
    fileprivate mutating func history() -> (ConstructedArchive, KnownPlace?) {
        var archive = ConstructedArchive()
        var writers: [UInt32: WALWriter] = [:]
        var clock = 0.0
        var first = WALWriter()
        write(15, into: &first, &archive, &clock, backups: 2, from: 100)
        writers[1] = first
        for number in 2...UInt32(Int.random(in: 2...4, using: &self)) {
            let parent = writers.keys.sorted().randomElement(using: &self) ?? 1
            var branch = writers[parent]!
            archive.branch(number, from: parent, branch) { _ in }
            branch.timeline = TimelineID(number)
            if chance(85) {
                let (count, backups) = (Int.random(in: 0...25, using: &self), chance(40) ? 1 : 0)
                // The parent's transactions and the child's have the same numbers.
                write(count, into: &branch, &archive, &clock, backups: backups, from: 130)
            }
            writers[number] = branch
            if chance(60) {
                write(15, into: &writers[parent]!, &archive, &clock, backups: chance(25) ? 1 : 0, from: 130)
            }
        }
        let size = UInt64(archive.segmentSize)
        for (number, writer) in writers {
            let begin = archive.allHistories[TimelineID(number)]?.ancestors.last?.switchPoint ?? .zero
            archive.records[TimelineID(number)] = writer.written.filter {
                $0.end.rawValue > begin.rawValue / size * size
            }
        }
        if chance(40), let lost = Array(archive.everyName).randomElement(using: &self) { archive.missing = [lost] }
        guard chance(50), let place = writers.keys.sorted().randomElement(using: &self) else { return (archive, nil) }
        let known = KnownPlace(
            timeline: TimelineID(place), position: writers[place]!.position, takesWrites: chance(50),
            witness: "The server in \"/data\" is")
        return (archive, known)
    }

    private mutating func write(
        _ count: Int, into log: inout WALWriter, _ archive: inout ConstructedArchive, _ clock: inout Double,
        backups: Int, from xid: UInt32
    ) {
        var begun: RestorableBackup?
        for step in 0..<count {
            clock += chance(4) ? -20 : 1
            if backups > 0, step % 7 == 1, archive.allBackups.filter({ $0.timeline == log.timeline }).count < backups {
                let start = log.other().start
                begun = RestorableBackup(
                    label: "b\(archive.allBackups.count)", timeline: log.timeline, start: start, stop: start,
                    startTime: second(clock), stopTime: second(clock), size: 1)
            }
            switch Int.random(in: 0..<10, using: &self) {
            case 0: log.other()
            case 1: log.abort(xid + UInt32(step), second(clock))
            case 2, 3:
                let name = ["nightly", "release", "it's \(step)"].randomElement(using: &self)!
                log.restorePoint(name, second(clock))
            default: log.commit(xid + UInt32(step), second(clock))
            }
            if var backup = begun, chance(50) || step == count - 1 {
                backup.stop = log.other().end
                backup.stopTime = second(clock)
                log.other()
                archive.allBackups.append(backup)
                begun = nil
            }
        }
    }

    fileprivate mutating func request(of archive: ConstructedArchive, _ known: KnownPlace?) -> PlanRequest {
        let all = archive.records.sorted { $0.key < $1.key }.flatMap(\.value)
        let record = all.randomElement(using: &self)!
        let point: RecoveryTarget.Point =
            switch Int.random(in: 0..<12, using: &self) {
            case 0: .latest
            case 1: .immediate
            case 2: .lsn(record.start)
            case 3: .lsn(record.start + 0x100_0000)
            case 4, 5: .name(["nightly", "release", "relase", "it's 3", "none"].randomElement(using: &self)!)
            case 6, 7: .xid(UInt32.random(in: 100...160, using: &self))
            default: .time(second(Double(Int.random(in: -5...90, using: &self)) + 0.5))
            }
        var target = RecoveryTarget(point, inclusive: chance(80))
        switch point {
        case .latest, .immediate, .name: target.inclusive = true
        case .lsn, .xid, .time: break
        }
        target.timeline =
            [.own, .own, .own, .latest, .current, .number(TimelineID(UInt32.random(in: 1...5, using: &self)))]
            .randomElement(using: &self)!
        let label = chance(20) ? archive.allBackups.randomElement(using: &self)?.label : nil
        return PlanRequest(target, backup: label, known: known)
    }
}

extension ConstructedArchive {
    /// Of all segments, in order.
    fileprivate var everyName: [SegmentName] {
        let set = segments()
        return set.timelines.flatMap { timeline in
            set.runs(of: timeline).flatMap { run in
                run.map { SegmentName(timeline: timeline, number: $0, segmentSize: segmentSize) }
            }
        }
    }
}

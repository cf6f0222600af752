public import WAL

/// Time as far as the backups prove that it has passed.
///
/// A clock that is ahead makes everything look old, and what would tell it, the times of backups and commits, comes
/// from the same clock. But it shows as one leap between two backups, or between the last one and now, among gaps that
/// are far shorter. A leap counts as the longest of the usual gaps before it, whether it is an error of the clock or a
/// time without backups: what is older stays until later backups have covered the time that a rule asks for.
struct ProvenTime {
    private let now: Moment
    /// When backups ended, in order.
    private let times: [Moment]

    /// - Parameter backups: those that later backups follow, in the order of the WAL.
    init(_ backups: [RetainedBackup], now: Moment) {
        self.now = now
        let past = Dictionary(grouping: backups.filter { $0.stopTime <= now }, by: \.timeline)
        times = past.values.flatMap { ProvenTime.rising($0.map(\.stopTime)) }.sorted()
    }

    /// As many as possible that do not contradict each other, in any order: what these contradict was dated by a wrong
    /// clock.
    private static func rising(_ times: [Moment]) -> [Moment] {
        /// By length, the last elements of the rising sequences found so far that end lowest.
        var ends: [Int] = []
        var previous: [Int?] = []
        for index in times.indices {
            let place = (ends.lastIndex { times[$0] <= times[index] } ?? -1) + 1
            previous.append(place > 0 ? ends[place - 1] : nil)
            if place < ends.count { ends[place] = index } else { ends.append(index) }
        }
        var rising: [Moment] = []
        var last = ends.last
        while let index = last {
            rising.append(times[index])
            last = previous[index]
        }
        return rising
    }

    /// The moment since which at least `age` microseconds have passed.
    func before(_ age: Int64) -> Moment {
        var remaining = age
        for (index, begin) in times.enumerated().reversed() {
            let counted = credible(afterBackup: index, age: age)
            // In a leap, nobody knows when the time passed that counts: as early as possible.
            if remaining < counted { return Moment(microseconds: begin.microseconds + counted - remaining) }
            remaining -= counted
        }
        return Moment(
            microseconds: (times.first ?? now).microseconds.subtractingReportingOverflow(remaining).partialValue)
    }

    /// The present, as it would be without the leaps of the last week.
    var present: Moment { Moment(microseconds: before(ProvenTime.week).microseconds + ProvenTime.week) }
    private static let week: Int64 = 7 * 86_400_000_000

    /// How much of the gap after a backup counts: all of it, or, if it is a leap, the longest of the usual ones.
    private func credible(afterBackup index: Int, age: Int64) -> Int64 {
        let length = gap(index)
        // Further back than a rule reaches, others may have thinned out the backups.
        let since = times[index].microseconds.subtractingReportingOverflow(age).partialValue
        let before = (0..<index).reversed().prefix { times[$0].microseconds >= since }.map(gap).max()
        // A single gap proves nothing.
        let after = index + 2 < times.count ? gap(index + 1) : 0
        let usual = before ?? (index > 0 ? gap(index - 1) : after)
        return length / 2 <= usual ? length : usual
    }

    /// From one backup to the next, or to the present.
    private func gap(_ index: Int) -> Int64 {
        (index + 1 < times.count ? times[index + 1] : now).microseconds - times[index].microseconds
    }
}

/// The present as far as backups prove it, by which it is judged whether a pin has ended and a branch is abandoned.
///
/// - Parameters:
///   - backups: in the order of the WAL.
///   - now: by the clock.
public func provenPresent(_ backups: [RetainedBackup], now: Moment) -> Moment {
    ProvenTime(backups.filter { !$0.isAside }, now: now).present
}

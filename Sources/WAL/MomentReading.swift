extension Moment {
    /// Reads exactly what `iso8601` writes: `2026-11-20T08:12:45[.ffffff]Z`.
    public init?(iso8601 text: String) {
        guard text.hasSuffix("Z") else { return nil }
        let halves = text.dropLast().split(separator: "T", omittingEmptySubsequences: false)
        guard halves.count == 2 else { return nil }
        let date = halves[0].split(separator: "-").compactMap { Int($0) }
        let clock = halves[1].split(separator: ".", omittingEmptySubsequences: false)
        let time = clock[0].split(separator: ":").compactMap { Int($0) }
        // Within `Moment`'s range, and no year that overflows.
        guard date.count == 3, time.count == 3, clock.count <= 2, (-150_000...150_000).contains(date[0]),
            (1...12).contains(date[1]),
            (1...31).contains(date[2]), (0...23).contains(time[0]), (0...59).contains(time[1]),
            (0...60).contains(time[2])
        else { return nil }
        var fraction = 0
        if clock.count == 2 {
            guard (1...6).contains(clock[1].utf8.count), let digits = Int(clock[1]), digits >= 0 else { return nil }
            fraction = (0..<(6 - clock[1].utf8.count)).reduce(digits) { value, _ in value * 10 }
        }
        // Civil date to days since 1970, years starting in March, eras of 400 years.
        let year = date[1] <= 2 ? date[0] - 1 : date[0]
        let era = (year >= 0 ? year : year - 399) / 400
        let yearOfEra = year - era * 400
        let dayOfYear = (153 * (date[1] + (date[1] > 2 ? -3 : 9)) + 2) / 5 + date[2] - 1
        let days = era * 146_097 + yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + dayOfYear - 719_468
        let seconds = days * 86_400 + time[0] * 3600 + time[1] * 60 + time[2]
        self.init(microseconds: Int64(seconds) * 1_000_000 + Int64(fraction))
    }

    /// Reads what `compact` writes, `20261105T020000Z`, also with a fraction of a second.
    public init?(compact text: some StringProtocol) {
        let digits = Array(text)
        guard digits.count >= 16 else { return nil }
        func part(_ range: Range<Int>) -> String { String(digits[range]) }
        let date = "\(part(0..<4))-\(part(4..<6))-\(part(6..<8))"
        let time = "\(part(9..<11)):\(part(11..<13)):\(part(13..<15))"
        self.init(iso8601: "\(date)T\(time)\(part(15..<digits.count))")
    }
}

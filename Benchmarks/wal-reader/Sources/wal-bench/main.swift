import Glibc
import WAL
import Platform
func run() throws {
    let files = CommandLine.arguments.dropFirst()
    var segs: [[UInt8]] = []
    for f in files { segs.append(try Files.read(f)) }
    for (f, s) in zip(files, segs) {
        var best = 1e9
        var n: UInt64 = 0
        let reps = 30
        for _ in 0..<reps {
            let t0 = ContinuousClock.now
            var sc = SegmentScanner(name: nil, length: UInt64(s.count))
            var at = 0
            while at < s.count { try sc.feed(s.span.bytes.extracting(at..<min(at + 131072, s.count))); at += 131072 }
            let sum = try sc.finish()
            n = sum.facts.records
            let d = ContinuousClock.now - t0
            best = min(best, Double(d.components.attoseconds) / 1e18 + Double(d.components.seconds))
        }
        print(f, n, "records", best * 1000, "ms", Double(s.count) / best / 1e9, "GB/s")
    }
}
try run()

import Glibc
import Platform

/// Records which packs of a backup were found good, so that an interrupted verification can be continued. A local file
/// that may be deleted at any moment. A pack counts for a day: later it may be damaged.
final class VerifyProgressFile: Sendable {
    private let path: String?
    private let state: Monitor<[Int: Int]>
    let good: Set<Int>

    /// - Parameter directory: nil records nothing.
    init(directory: String?, label: String, incarnation: String) {
        state = Monitor([:])
        guard let directory, (try? Files.makeDirectories(directory)) != nil else {
            path = nil
            good = []
            return
        }
        let name = directory + "/\(incarnation)-\(label)"
        path = name
        good = VerifyProgressFile.packs((try? Files.readText(name, limit: 1 << 20)) ?? "", now: Clock.now)
        if good.isEmpty { try? Files.removeIfPresent(name) }
    }

    /// Microseconds.
    private static let lifetime: Int64 = 86_400_000_000

    /// - Parameters:
    ///   - text: in each line a pack's number and when it was found good, in microseconds since 1970; a last line
    ///     without its end may be truncated to another number, and is ignored.
    ///   - now: in microseconds since 1970.
    static func packs(_ text: String, now: Int64) -> Set<Int> {
        let whole = text.lastIndex(of: "\n").map { text[..<$0] } ?? ""
        return Set(
            whole.split(separator: "\n").compactMap { line in
                let words = line.split(separator: " ", omittingEmptySubsequences: false)
                guard words.count == 2, let pack = Int(words[0]), let time = Int64(words[1]) else { return nil }
                let (age, isImpossible) = now.subtractingReportingOverflow(time)
                return !isImpossible && (0..<lifetime).contains(age) ? pack : nil
            })
    }

    /// Announces the number of a pack's work items; the last one that finishes records the pack.
    func begin(_ pack: Int, pieces: Int) { state.update { $0[pack, default: 0] += pieces } }

    /// - Parameter isGood: a pack with one bad item is never recorded.
    func finish(_ pack: Int, isGood: Bool) {
        let isDone = state.update { counts in
            counts[pack, default: 0] += isGood ? -1 : 1 << 30
            return counts[pack] == 0
        }
        if isDone, let path { append(pack, to: path) }
    }

    private func append(_ pack: Int, to path: String) {
        guard let file = try? Descriptor(open: path, O_WRONLY | O_CREAT | O_APPEND) else { return }
        // Begins a new line, since a writer that died may have left a partial one.
        let line = Array("\n\(pack) \(Clock.now)\n".utf8)
        line.withUnsafeBytes { _ = try? file.write($0, path: path) }
    }

    /// Called when the verification has ended.
    func remove() { if let path { try? Files.removeIfPresent(path) } }
}

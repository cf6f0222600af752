import Configuration
import Platform

/// A system call failed on something in the state directory or the scratch directory, for example because the disk is
/// full or read-only: another directory can be named.
struct UnusableDirectory: Explained {
    private let cause: SystemError
    private let words: String
    private let option: String

    /// Nil when the call was on something else.
    init?(_ cause: SystemError, of cluster: ClusterConfiguration) {
        func isIn(_ directory: String) -> Bool {
            cause.subject == directory || cause.subject.hasPrefix(directory + "/")
        }
        self.cause = cause
        // By default, the scratch directory is in the state directory.
        if isIn(cluster.scratchDirectory) {
            (words, option) = ("scratch directory", "--scratch-directory")
        } else if isIn(cluster.stateDirectory) {
            (words, option) = ("state directory", "--state-directory")
        } else {
            return nil
        }
    }

    var message: String { cause.message }
    var detail: String? { cause.detail }
    var hint: String? {
        [cause.hint, "Another \(words) can be named with \(option)."].compactMap(\.self).joined(separator: " ")
    }
    var isTransient: Bool { cause.isTransient }
    var isOutOfReach: Bool { cause.isOutOfReach }
    var preventsWriting: Bool { cause.preventsWriting }
}

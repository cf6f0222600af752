import CLinux
import Glibc

/// The program's name and arguments, without a call that could fail and make them look absent.
///
/// A word that is not UTF-8 becomes what a server's text of these bytes does (`ServerText`), so that it can name an
/// object of such a name. One that is stays as it is: that may be a name as it was shown.
public func commandLineWords() -> [String] {
    var count: Int32 = 0
    guard let words = clinux_arguments(&count), count > 0 else { return [] }
    return (0..<Int(count)).compactMap { index in
        guard let word = words[index] else { return nil }
        return String(validatingCString: word)
            ?? ServerText.string(UnsafeRawBufferPointer(start: word, count: strlen(word)))
    }
}

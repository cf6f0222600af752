import CLinux

/// The program's name and arguments, without a call that could fail and make them look absent.
///
/// Bytes that are not UTF-8 become U+FFFD.
public func commandLineWords() -> [String] {
    var count: Int32 = 0
    guard let words = clinux_arguments(&count), count > 0 else { return [] }
    return (0..<Int(count)).compactMap { words[$0].map { String(cString: $0) } }
}

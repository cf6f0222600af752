/// `1 segment`, `2 segments`.
///
/// - Parameter noun: in the singular; its plural ends with one more `s`.
public func counted(_ number: some BinaryInteger, _ noun: String) -> String {
    "\(number) \(noun)\(number == 1 ? "" : "s")"
}

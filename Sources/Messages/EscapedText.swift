/// `text` with each scalar replaced by `escape`'s result, where that isn't nil.
///
/// By scalars: a quotation mark and an accent that combines with it are one `Character`, which equals no quotation
/// mark. A server or a shell that reads the text sees the quotation mark nevertheless.
public func escaped(_ text: some StringProtocol, _ escape: (Unicode.Scalar) -> String?) -> String {
    var result = ""
    for scalar in text.unicodeScalars {
        if let replacement = escape(scalar) {
            result += replacement
        } else {
            result.unicodeScalars.append(scalar)
        }
    }
    return result
}

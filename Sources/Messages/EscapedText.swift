/// `text` with what `escape` says in the place of a scalar, where it says something.
///
/// By scalars: a quotation mark and an accent that combines with it are one `Character`, which equals no quotation mark. Who
/// reads the text, a server or a shell, sees the quotation mark nevertheless.
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

/// The first key that an object of a JSON text has twice; nil when none has.
public func repeatedKey(inJSON text: String) -> String? {
    /// The keys so far of each object that is open; nil for an array.
    var open: [Set<String>?] = []
    var word: [UInt8] = []
    var (isInString, isEscaped) = (false, false)
    for byte in text.utf8 {
        if isInString {
            if isEscaped || byte == UInt8(ascii: "\\") {
                isEscaped.toggle()
            } else if byte == UInt8(ascii: "\"") {
                isInString = false
                continue
            }
            word.append(byte)
            continue
        }
        switch byte {
        case UInt8(ascii: "\""): (word, isInString) = ([], true)
        case UInt8(ascii: "{"): open.append([])
        case UInt8(ascii: "["): open.append(nil)
        case UInt8(ascii: "}"), UInt8(ascii: "]"): _ = open.popLast()
        case UInt8(ascii: ":"):
            let key = String(decoding: word, as: UTF8.self)
            if open.isEmpty || open[open.count - 1]?.insert(key).inserted == false { return key }
        default: break
        }
    }
    return nil
}

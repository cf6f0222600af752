import CCrypto

/// `sha256=` and the HMAC-SHA256 of `body` in lower-case hexadecimal (RFC 2104), the form that GitHub's webhooks use.
func signature(of body: [UInt8], key: String) -> String {
    var digest = [UInt8](repeating: 0, count: Int(EVP_MAX_MD_SIZE))
    var length: UInt32 = 0
    let key = Array(key.utf8)
    // One call without state: it fails only for want of memory, and then returns NULL.
    guard HMAC(EVP_sha256(), key, Int32(key.count), body, body.count, &digest, &length) != nil else {
        fatalError("out of memory")
    }
    return "sha256="
        + digest.prefix(Int(length)).map { $0 < 16 ? "0" + String($0, radix: 16) : String($0, radix: 16) }.joined()
}

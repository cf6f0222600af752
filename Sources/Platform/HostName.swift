import Glibc

/// This machine's name.
public func hostName() -> String {
    var system = utsname()
    uname(&system)
    return withUnsafeBytes(of: &system.nodename) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
}

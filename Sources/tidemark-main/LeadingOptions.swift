import Configuration

extension Grammar {
    /// A command line with options that every command has before the command, rearranged so that they follow it.
    ///
    /// - Parameter line: with the program's name.
    /// - Returns: the line as it is when another option precedes the command, when no command follows, or one that
    ///   PostgreSQL calls: a mistake in a restore_command must not be guessed at.
    static func commandFirst(_ line: [String]) -> [String] {
        var place = 1
        while place < line.count, line[place].hasPrefix("-") {
            let parts = line[place].split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            let name = parts[0].drop { $0 == "-" }
            let isLong = parts[0].hasPrefix("--")
            let isCommon: (Option) -> Bool = { isLong ? $0.name == name : $0.letter.map { "\($0)" } == String(name) }
            if let option = common.first(where: isCommon) {
                place += option.value != nil && parts.count == 1 ? 2 : 1
            } else if isLong, Setting.flags.contains(where: { $0.flag == name }) {
                place += parts.count == 1 ? 2 : 1
            } else {
                return line
            }
        }
        guard place > 1, place < line.count else { return line }
        if [archivePush, archiveGet, recoveryEnd].contains(where: { $0.command == line[place] }) { return line }
        return [line[0], line[place]] + line[1..<place] + line[(place + 1)...]
    }
}

import ArchiveCommandLine
import Glibc
import Platform

let line = commandLineWords()
exit(ArchiveCommands.run(line) ?? HandOver.run(line))
